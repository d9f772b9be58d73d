"""`/operations`, and the bulk actions that make some of them."""

from functools import partial, reduce
from operator import or_
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.learners.plan import Effect, OutcomeName
from app.limits import LIMITS
from app.operations import outcomes, progress, report, repository, service
from app.operations.bulk_actions import submit_bulk_action
from app.operations.dependencies import ACCEPTED, CurrentRunner, CurrentSubmission
from app.operations.errors import OutcomesDeleted
from app.operations.operation import Kind, State, WantedOutcomes
from app.operations.problems import (
    OPERATION_NOT_CANCELLABLE,
    OPERATION_NOT_FOUND,
    OPERATION_NOT_REVERTIBLE,
    OUTCOMES_REMOVED,
    SELECTION_CHANGED,
)
from app.operations.reverts import submit_revert
from app.operations.schemas import (
    BulkActionRequest,
    ChangesFilter,
    OperationDocument,
    OutcomeDocument,
    OutcomeFilter,
    RevertRequest,
    present,
    present_outcome,
)
from app.organizations.dependencies import (
    AUTHENTICATOR,
    AuthenticatedRoute,
    BulkWriter,
    OperationReader,
    authorization_of,
)
from app.platform.dependencies import STOPPING, Db
from app.platform.idempotency import KEY_IN_PROGRESS, KEY_REUSED
from app.platform.negotiation import CSV, JSON, choose_media_type
from app.platform.openapi import Tag, answers
from app.platform.paging import (
    INVALID_CURSOR,
    CursorText,
    Limit,
    Page,
    decode_cursor,
    decode_id,
    encode_cursor,
    link_next,
    page_by_id,
)
from app.platform.problems import NOT_ACCEPTABLE, NOT_FOUND, Problem

TAG = Tag(name="operations", description="Work on many learners: bulk actions, CSV imports and reverts.")
router = APIRouter(route_class=AuthenticatedRoute)


OperationIdPath = Annotated[
    str, Path(description="The operation's id.", examples=["019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f"])
]
_NO_OPERATION = Problem(NOT_FOUND, OPERATION_NOT_FOUND)
_REPORT: dict[str, Any] = {
    "text/csv": {
        "schema": {"type": "string"},
        "example": "Username,Active,Line,Outcome,Problem\r\n"
        "b.lindqvist,Maybe,17,invalid,\"invalid-active: 'Maybe' is not valid. Use Yes or No, or leave the cell empty "
        'to keep the status."\r\n',
    }
}
_PROGRESS: dict[str, Any] = {
    progress.MEDIA_TYPE: {
        # The schema of one event: OpenAPI 3.1 has no other place for it, and tools that read streams expect it here.
        "schema": {
            "type": "object",
            "description": "One event of the stream.",
            "properties": {
                "event": {"type": "string", "enum": ["progress", "end"]},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": "#/components/schemas/OperationDocument"},
                },
            },
            "required": ["event", "data"],
        },
        "example": {
            "event": "progress",
            "data": '{"id":"019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f","kind":"csv-import","state":"running",'
            '"dry_run":false,"action":null,"reason":null,"request":{"file_name":null,"options":{}},"progress":{"done":5000,"total":20000},"counts":{"created":5000,"changed":0,'
            '"unchanged":0,"refused":0,"invalid":0,"not_found":0},"deactivated":0,"activated":0,"renamed":0,"rekeyed":0,"expiration_changed":0,"warnings":[],"problem":null,"reverts":null,'
            '"reverted_by":null,"revertible":5000,"created_by":{"kind":"api-key","id":"019a8c5e-0000-7000-8000-000000000001",'
            '"name":"hr-feed"},"created_at":"2026-11-02T10:00:00Z","started_at":"2026-11-02T10:00:00.1Z",'
            '"finished_at":null}',
        },
    }
}


@router.post(
    "/learners/bulk-actions",
    tags=["operations"],
    summary="Activate, deactivate or date many learners",
    response_model=OperationDocument,
    responses=ACCEPTED | answers(SELECTION_CHANGED, KEY_IN_PROGRESS, KEY_REUSED),
)
async def start_bulk_action(submission: CurrentSubmission, body: BulkActionRequest) -> Response:
    """Apply an action to all learners of a selection. Learners created after it has begun are not included.

    Up to 5,000 learners are done within the request. More are done in the background, in chunks.
    """
    return await submission.answer(partial(submit_bulk_action, submission.runner, wanted=body))


@router.get(
    "/operations",
    tags=["operations"],
    summary="List operations",
    response_model=Page[OperationDocument],
    responses=answers(INVALID_CURSOR),
)
async def list_operations(
    request: Request,
    response: Response,
    principal: OperationReader,
    database: Db,
    kind: Annotated[Kind | None, Query(description="Only operations of this kind.")] = None,
    state: Annotated[State | None, Query(description="Only operations in this state.")] = None,
    dry_run: Annotated[bool | None, Query(description="`true`: only dry runs. `false`: no dry runs.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """Return the organization's operations, newest first."""
    organization = principal.organization
    cursor_of = [organization.public_id, "operations", kind, state, dry_run]
    after = decode_id(cursor_of, cursor)
    async with database.read() as connection:
        found = await repository.list_operations(
            connection,
            organization.id,
            kind=kind,
            state=state,
            dry_run=dry_run,
            after=after,
            limit=limit + 1,
        )
    return page_by_id(request, response, cursor_of, found, limit, present)


@router.get(
    "/operations/{operation_id}",
    tags=["operations"],
    summary="Get an operation",
    response_model=OperationDocument,
    responses=answers(_NO_OPERATION),
)
async def get_operation(principal: OperationReader, database: Db, operation_id: OperationIdPath) -> Any:
    """Return an operation: what it does, its progress, and the number of learners by outcome."""
    return present(await service.get_operation(database, principal.organization.id, operation_id))


@router.get(
    "/operations/{operation_id}/progress",
    tags=["operations"],
    summary="Follow an operation",
    response_class=Response,
    responses=answers(_NO_OPERATION, ok=_PROGRESS),
)
async def follow_operation(
    request: Request, principal: OperationReader, database: Db, operation_id: OperationIdPath
) -> StreamingResponse:
    """Stream server-sent events until the operation has ended.

    `progress` is sent at once and after each change. `end` is sent when the operation has ended. The data of both is
    the operation, as in `GET /operations/{id}`. The stream closes after `end`. If it closes earlier, for example
    because the service stops, send the request again. After 15 seconds without a change, a comment keeps it open.
    """
    operation = await service.get_operation(database, principal.organization.id, operation_id)
    events = progress.stream_progress(
        database,
        operation,
        LIMITS.of(request.app),
        STOPPING.of(request.app),
        lambda: AUTHENTICATOR.of(request.app).still_admits(authorization_of(request)),
    )
    # Without the second header, some proxies hold events back until there are many.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type=progress.MEDIA_TYPE, headers=headers)


@router.post(
    "/operations/{operation_id}/cancel",
    tags=["operations"],
    summary="Cancel an operation",
    response_model=OperationDocument,
    responses=answers(_NO_OPERATION, OPERATION_NOT_CANCELLABLE),
)
async def cancel_operation(
    principal: BulkWriter, runner: CurrentRunner, operation_id: OperationIdPath
) -> Any:
    """Stop an operation. Changes already made remain and are counted. Safe to repeat.

    The response is sent when the running chunk is complete, and shows how the operation ended.
    """
    operation = await service.get_operation(runner.database, principal.organization.id, operation_id)
    return present(await service.cancel(runner, operation))


@router.post(
    "/operations/{operation_id}/revert",
    tags=["operations"],
    summary="Revert an operation",
    response_model=OperationDocument,
    responses=ACCEPTED | answers(_NO_OPERATION, OPERATION_NOT_REVERTIBLE, KEY_IN_PROGRESS, KEY_REUSED),
)
async def revert_operation(
    submission: CurrentSubmission, operation_id: OperationIdPath, body: RevertRequest | None = None
) -> Response:
    """Restore what the operation changed, field by field. The history shows this as a new change.

    A field that was changed again after the operation keeps its later value, and its learner is `kept`, with the
    problem `changed-since`. The other fields are restored. A later operation that was reverted itself does not count.
    A learner is also `kept` if another learner now has the earlier username or external id. Learners that an
    import created are deactivated, never deleted. A revert is itself an operation and can be reverted. While
    `revertible` is above 0, the operation can be reverted again.
    """
    submit = partial(
        submit_revert, submission.runner, operation_id=operation_id, wanted=body or RevertRequest()
    )
    return await submission.answer(submit)


@router.get(
    "/operations/{operation_id}/outcomes",
    tags=["operations"],
    summary="List the outcomes of an operation",
    response_model=Page[OutcomeDocument],
    responses=answers(_NO_OPERATION, INVALID_CURSOR, NOT_ACCEPTABLE, OUTCOMES_REMOVED, ok=_REPORT),
)
async def list_outcomes(
    request: Request,
    response: Response,
    principal: OperationReader,
    runner: CurrentRunner,
    operation_id: OperationIdPath,
    outcome: Annotated[OutcomeFilter, Query()] = None,
    changes: Annotated[ChangesFilter, Query()] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """Return the outcomes so far, in the order of the file or of the learners' ids.

    The outcomes of a revert begin with the change that was made last.

    `Accept: text/csv` returns all of them. For an import these are the rows that you sent, plus the columns Line,
    Outcome and Problem. To apply the rows that failed, correct them and import that file.
    """
    operation = await service.get_operation(runner.database, principal.organization.id, operation_id)
    if operation.has_expired_outcomes:
        raise OutcomesDeleted
    effects = [Effect[name.upper()] for name in changes or ()]
    wanted = WantedOutcomes(sorted(set(map(OutcomeName, outcome or ()))), reduce(or_, effects, Effect(0)))
    if choose_media_type(request, (JSON, CSV)) == CSV:
        return StreamingResponse(
            report.stream_report(runner.database, operation, runner.handlers[operation.kind], wanted),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="outcomes.csv"'},
        )
    cursor_of = [operation.id, "outcomes", wanted.names, int(wanted.effects)]
    position = decode_cursor(cursor_of, cursor, (int,))
    async with runner.database.read() as connection:
        first_item = position[0] + 1 if position else 0
        found = await outcomes.list_outcomes(
            connection, operation, wanted, first_item=first_item, limit=limit + 1
        )
    shown = found[:limit]
    next_cursor = encode_cursor(cursor_of, [shown[-1].item]) if len(found) > limit else None
    link_next(request, response, next_cursor)
    return {"items": list(map(present_outcome, shown)), "next_cursor": next_cursor}
