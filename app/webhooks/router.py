"""`/webhooks`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.organizations.dependencies import Administrator, AuthenticatedRoute
from app.platform.dependencies import CurrentClock, Db, Now
from app.platform.openapi import Tag, answers
from app.platform.paging import (
    INVALID_CURSOR,
    CursorText,
    Limit,
    Page,
    decode_id,
    page_by_id,
)
from app.webhooks import repository, service
from app.webhooks.delivery import DeliveryState
from app.webhooks.dependencies import (
    CurrentSender,
    DeliveryIdPath,
    WebhookIdPath,
    delivery_id_of,
    webhook_id_of,
)
from app.webhooks.problems import NO_DELIVERY, NO_WEBHOOK, TOO_MANY_WEBHOOKS
from app.webhooks.schemas import (
    DeliveryDocument,
    NewWebhook,
    WebhookDocument,
    WebhookPatch,
    WebhookWithSecret,
    present,
    present_delivery,
    read_change,
)
from app.webhooks.webhook import Webhook, WebhookSettings

TAG = Tag(name="webhooks", description="Send events to the URLs that an organization chooses.")
router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=AuthenticatedRoute)


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
    """Return the organization's webhooks, newest first."""
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
    """Create a webhook. It receives events from now on. Store the secret now: only this response contains it.

    Messages are signed and retried as the Standard Webhooks specification describes. They have the headers
    `webhook-id`, `webhook-timestamp` and `webhook-signature`, and the body
    `{"type": …, "timestamp": …, "data": <an event, as in a learner's history>}`.

    Return 2xx within 15 seconds. Otherwise the message is sent again after 5 seconds, 5 minutes, 30 minutes, and 2, 5,
    10, 14, 20 and 24 hours, always with the same `webhook-id`. A message can arrive twice or out of order.

    The webhook is disabled if the endpoint returns 410 (except to a test). It is also disabled if all attempts of a
    delivery fail and the endpoint has received no message since that delivery was created. When you enable it again,
    it continues where it stopped.
    """
    settings = WebhookSettings(body.url, body.description, tuple(body.event_types), body.enabled)
    webhook = await database.write(service.create_webhook, sender, principal.organization.id, settings, now)
    root = request.scope.get("root_path", "")
    response.headers["Location"] = f"{root}/webhooks/{webhook.id}"
    return _with_secret(response, webhook)


@router.get(
    "/{webhook_id}", summary="Get a webhook", response_model=WebhookDocument, responses=answers(NO_WEBHOOK)
)
async def get_webhook(principal: Administrator, database: Db, webhook_id: WebhookIdPath) -> Any:
    """Return a webhook, without its secret."""
    async with database.read() as connection:
        webhook = await repository.get_webhook(
            connection, principal.organization.id, webhook_id_of(webhook_id)
        )
    return present(webhook)


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
    """Apply a merge patch. A webhook that you enable again continues where it stopped.

    Failed deliveries are not sent again. Use `retry` for those.
    """
    changed = await database.write(
        service.change_webhook,
        sender,
        principal.organization.id,
        webhook_id_of(webhook_id),
        read_change(body),
        now,
    )
    return present(changed)


@router.delete("/{webhook_id}", summary="Remove a webhook", status_code=204, responses=answers(NO_WEBHOOK))
async def delete_webhook(principal: Administrator, database: Db, now: Now, webhook_id: WebhookIdPath) -> None:
    """Remove a webhook. Nothing more is sent to it, except messages that are already on their way."""
    await database.write(service.remove_webhook, principal.organization.id, webhook_id_of(webhook_id), now)


@router.post(
    "/{webhook_id}/rotate-secret",
    summary="Replace a webhook's secret",
    response_model=WebhookWithSecret,
    responses=answers(NO_WEBHOOK, headers=("Cache-Control",)),
)
async def rotate_secret(
    response: Response, principal: Administrator, database: Db, now: Now, webhook_id: WebhookIdPath
) -> Any:
    """Create a new secret. For 24 hours messages carry two signatures: one with each secret."""
    webhook = await database.write(
        service.rotate_secret, principal.organization.id, webhook_id_of(webhook_id), now
    )
    return _with_secret(response, webhook)


@router.post(
    "/{webhook_id}/test",
    summary="Test a webhook",
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
    """Send a message of the type `webhook.test` now and return its delivery. Works for disabled webhooks too."""
    async with database.read() as connection:
        webhook = await repository.get_webhook(
            connection, principal.organization.id, webhook_id_of(webhook_id)
        )
    return present_delivery(await service.send_test(database, clock, sender, webhook))


@router.get(
    "/{webhook_id}/deliveries",
    summary="List deliveries of a webhook",
    response_model=Page[DeliveryDocument],
    responses=answers(INVALID_CURSOR, NO_WEBHOOK),
)
async def list_deliveries(
    request: Request,
    response: Response,
    principal: Administrator,
    database: Db,
    webhook_id: WebhookIdPath,
    state: Annotated[DeliveryState | None, Query(description="Return only deliveries in this state.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """Return the deliveries, newest first. Ended ones are deleted after `ROLLCALL_OUTCOMES_DAYS` days (default 30)."""
    async with database.read() as connection:
        webhook = await repository.get_webhook(
            connection, principal.organization.id, webhook_id_of(webhook_id)
        )
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
    """Send the delivery of an event again, in the background. It starts over, with all its attempts.

    If the webhook is disabled, the delivery waits until you enable it. A test cannot be retried. Send another test.
    """
    delivery = await database.write(
        service.retry_delivery,
        principal.organization.id,
        webhook_id_of(webhook_id),
        delivery_id_of(delivery_id),
        now,
    )
    return present_delivery(delivery)


def _with_secret(response: Response, webhook: Webhook) -> dict[str, Any]:
    response.headers["Cache-Control"] = "no-store"
    return present(webhook) | {"secret": webhook.secret}
