"""`/webhooks`."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from app.organizations.dependencies import Administrator, AuthenticatedRoute
from app.platform.dependencies import CurrentClock, Db, Now
from app.platform.ids import parse_id
from app.platform.openapi import Tag, answers
from app.platform.paging import (
    INVALID_CURSOR,
    CursorText,
    Limit,
    Page,
    decode_id,
    page_by_id,
)
from app.platform.problems import NOT_FOUND, Problem
from app.webhooks import repository, service
from app.webhooks.delivery import Delivery, DeliveryState
from app.webhooks.dependencies import CurrentSender
from app.webhooks.problems import NO_DELIVERY, NO_WEBHOOK, TOO_MANY_WEBHOOKS
from app.webhooks.schemas import (
    DeliveryDocument,
    NewWebhook,
    WebhookDocument,
    WebhookPatch,
    WebhookWithSecret,
    present,
    present_delivery,
)
from app.webhooks.webhook import Webhook

TAG = Tag(name="webhooks", description="Events, sent to the addresses that an organization chooses.")
router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=AuthenticatedRoute)


WebhookIdPath = Annotated[
    str, Path(description="The webhook's id.", examples=["019a8c61-2222-7333-8444-555566667777"])
]
DeliveryIdPath = Annotated[
    str, Path(description="The delivery's id.", examples=["019a8c61-3333-7444-8555-666677778888"])
]


@router.get(
    "",
    summary="List webhooks",
    response_model=Page[WebhookDocument],
    responses=answers(INVALID_CURSOR),
)
async def list_webhooks(
    request: Request,
    response: Response,
    principal: Administrator,
    database: Db,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """The organization's webhooks, newest first."""
    organization = principal.organization
    cursor_of = [organization.public_id, "webhooks"]
    after = decode_id(cursor_of, cursor)
    async with database.read() as connection:
        found = await repository.list_webhooks(connection, organization.id, after=after, limit=limit + 1)
    return page_by_id(request, response, cursor_of, found, limit, present)


@router.post(
    "",
    summary="Create a webhook",
    status_code=201,
    response_model=WebhookWithSecret,
    responses=answers(TOO_MANY_WEBHOOKS, status=201, headers=("Location", "Cache-Control")),
)
async def create_webhook(
    request: Request,
    response: Response,
    principal: Administrator,
    database: Db,
    now: Now,
    sender: CurrentSender,
    body: NewWebhook,
) -> Any:
    """It is told of every change from now on, of the types it names. The secret is in this answer and nowhere else.

    Messages are signed and repeated as the Standard Webhooks specification has it: the header fields are
    `webhook-id`, `webhook-timestamp` and `webhook-signature`, the body is
    `{"type": …, "timestamp": …, "data": <the event, as in a learner's history>}`.
    Answer 2xx within 15 seconds. Else it is sent again after 5 seconds, 5 and 30 minutes, 2, 5, 10, 14, 20 and 24
    hours, always with the same `webhook-id`: a message can come twice, and out of order.
    410 disables the webhook (the answer to a test does not); so does a delivery that is given up where nothing came
    through meanwhile. Once it is enabled again it goes on where it stood.
    """
    webhook = await database.write(
        lambda connection: service.create(
            connection, sender, principal.organization.id, body.model_dump(), now
        )
    )
    root = request.scope.get("root_path", "")
    response.headers["Location"] = f"{root}/webhooks/{webhook.id}"
    return _with_secret(response, webhook)


@router.get(
    "/{webhook_id}", summary="Get a webhook", response_model=WebhookDocument, responses=answers(NO_WEBHOOK)
)
async def get_webhook(principal: Administrator, database: Db, webhook_id: WebhookIdPath) -> Any:
    """Everything but its secret."""
    async with database.read() as connection:
        return present(await service.get(connection, principal.organization.id, parse_id(webhook_id)))


@router.patch(
    "/{webhook_id}", summary="Change a webhook", response_model=WebhookDocument, responses=answers(NO_WEBHOOK)
)
async def patch_webhook(
    principal: Administrator,
    database: Db,
    now: Now,
    sender: CurrentSender,
    webhook_id: WebhookIdPath,
    body: WebhookPatch,
) -> Any:
    """A merge patch. One that is enabled again goes on where it stood; what was given up by then, `retry` sends."""
    values = body.model_dump(exclude_unset=True)
    changed = await database.write(
        lambda connection: service.change(
            connection, sender, principal.organization.id, parse_id(webhook_id), values, now
        )
    )
    return present(changed)


@router.delete("/{webhook_id}", summary="Remove a webhook", status_code=204, responses=answers(NO_WEBHOOK))
async def delete_webhook(principal: Administrator, database: Db, now: Now, webhook_id: WebhookIdPath) -> None:
    """Nothing more is sent to it, apart from what is on its way at this moment."""

    async def transaction(connection: AsyncConnection) -> None:
        found = await service.get(connection, principal.organization.id, parse_id(webhook_id), lock=True)
        await repository.remove_webhook(connection, found.id, now)

    await database.write(transaction)


@router.post(
    "/{webhook_id}/rotate-secret",
    summary="Replace a webhook's secret",
    response_model=WebhookWithSecret,
    responses=answers(NO_WEBHOOK, headers=("Cache-Control",)),
)
async def rotate_secret(
    response: Response, principal: Administrator, database: Db, now: Now, webhook_id: WebhookIdPath
) -> Any:
    """For 24 hours messages carry two signatures, with the old secret and with the new one."""
    webhook = await database.write(
        lambda connection: service.rotate_secret(
            connection, principal.organization.id, parse_id(webhook_id), now
        )
    )
    return _with_secret(response, webhook)


@router.post(
    "/{webhook_id}/test",
    summary="Try a webhook out",
    response_model=DeliveryDocument,
    responses=answers(NO_WEBHOOK),
)
async def try_webhook(
    principal: Administrator,
    database: Db,
    clock: CurrentClock,
    sender: CurrentSender,
    webhook_id: WebhookIdPath,
) -> Any:
    """Sends a message of the type `webhook.test` at once, to a disabled one too, and answers what became of it."""
    async with database.read() as connection:
        webhook = await service.get(connection, principal.organization.id, parse_id(webhook_id))
    return present_delivery(await service.try_out(database, clock, sender, webhook))


@router.get(
    "/{webhook_id}/deliveries",
    summary="What was sent to a webhook",
    response_model=Page[DeliveryDocument],
    responses=answers(INVALID_CURSOR, NO_WEBHOOK),
)
async def list_deliveries(
    request: Request,
    response: Response,
    principal: Administrator,
    database: Db,
    webhook_id: WebhookIdPath,
    state: Annotated[DeliveryState | None, Query(description="Only those in this state.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """Newest first. Those that have ended are removed after `ROLLCALL_OUTCOMES_DAYS`."""
    async with database.read() as connection:
        webhook = await service.get(connection, principal.organization.id, parse_id(webhook_id))
        cursor_of = [webhook.id, "deliveries", state]
        after = decode_id(cursor_of, cursor)
        found = await repository.list_deliveries(
            connection, webhook.id, state=state, after=after, limit=limit + 1
        )
    return page_by_id(request, response, cursor_of, found, limit, present_delivery)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/retry",
    summary="Send a delivery again",
    response_model=DeliveryDocument,
    responses=answers(NO_DELIVERY),
)
async def retry_delivery(
    principal: Administrator, database: Db, now: Now, webhook_id: WebhookIdPath, delivery_id: DeliveryIdPath
) -> Any:
    """In the background, at once where the webhook is enabled; whatever became of it before, as if it were new.

    Only deliveries of events: a test is sent once, and `test` sends another.
    """
    identifier = parse_id(delivery_id)

    async def transaction(connection: AsyncConnection) -> Delivery:
        webhook = await service.get(connection, principal.organization.id, parse_id(webhook_id))
        found = identifier and await repository.retry_delivery(connection, webhook.id, identifier, now)
        if not found:
            raise Problem(NOT_FOUND, NO_DELIVERY.detail)
        return found

    return present_delivery(await database.write(transaction))


def _with_secret(response: Response, webhook: Webhook) -> dict[str, Any]:
    response.headers["Cache-Control"] = "no-store"
    return present(webhook) | {"secret": webhook.secret}
