"""`/operations`, and the bulk actions that make some of them."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.limits import LIMITS
from app.operations import bulk_actions, cancelling, progress, report, repository, reverts, service, waiting
from app.operations.dependencies import ACCEPTED, CurrentRunner
from app.operations.operation import Kind, Operation, OutcomeName, State, Tidied, WantedOutcomes
from app.operations.problems import (
    OPERATION_NOT_CANCELLABLE,
    OPERATION_NOT_FOUND,
    OPERATION_NOT_REVERTIBLE,
    OUTCOMES_REMOVED,
    SELECTION_CHANGED,
    SelectionChanged,
    outcomes_removed,
)
from app.operations.schemas import (
    BulkActionRequest,
    OperationDocument,
    OutcomeDocument,
    OutcomeFilter,
    RevertRequest,
    present,
    present_outcome,
)
from app.operations.service import OnStored
from app.operations.waiting import PreferHeader
from app.organizations.dependencies import (
    AUTHENTICATOR,
    AuthenticatedRoute,
    BulkWriter,
    OperationReader,
    authorization_of,
)
from app.organizations.principal import Principal
from app.platform.dependencies import STOPPING, Db, Now
from app.platform.idempotency import KEY_IN_PROGRESS, KEY_REUSED, Claim, KeyHeader, run_once
from app.platform.ids import new_id, parse_id
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
        'b.lindqvist,Maybe,17,invalid,"invalid-active: Active is Yes or No, or empty to leave it as it is; '
        "'Maybe' is neither.\"\r\n",
    }
}
_PROGRESS: dict[str, Any] = {
    progress.MEDIA_TYPE: {
        # Of each event: OpenAPI 3.1 has no other place for it, and what reads streams takes it so.
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
            '"dry_run":false,"action":null,"reason":null,"progress":{"done":5000,"total":20000},"counts":{"created":5000,"changed":0,'
            '"unchanged":0,"refused":0,"invalid":0,"not_found":0},"deactivated":0,"warnings":[],"problem":null,"reverts":null,'
            '"reverted_by":null,"created_by":{"kind":"api-key","id":"019a8c5e-0000-7000-8000-000000000001",'
            '"name":"hr-feed"},"created_at":"2026-11-02T10:00:00Z","started_at":"2026-11-02T10:00:00.1Z",'
            '"finished_at":null}',
        },
    }
}


@router.post(
    "/learners/bulk-actions",
    tags=["operations"],
    summary="Activate or deactivate many learners",
    response_model=OperationDocument,
    responses=ACCEPTED | answers(SELECTION_CHANGED, KEY_IN_PROGRESS, KEY_REUSED),
)
async def start_bulk_action(
    request: Request,
    principal: BulkWriter,
    runner: CurrentRunner,
    now: Now,
    body: BulkActionRequest,
    idempotency_key: KeyHeader = None,
    prefer: PreferHeader = None,
) -> Response:
    """The selection is fixed when the action begins: who is created later is not in it.

    Up to 5,000 learners are done at once; more are done in the background, chunk by chunk.
    """
    organization = principal.organization

    def check_total(matched: int) -> None:
        if body.expected_count is not None and body.expected_count != matched:
            raise SelectionChanged(body.expected_count, matched)

    async def submit(on_stored: OnStored) -> Operation:
        draft = Operation(
            id=new_id(now),
            organization_id=organization.id,
            kind=Kind.BULK_ACTION,
            action=body.action.value,
            dry_run=body.dry_run,
            reason=body.reason,
            parameters={
                "selection": body.selection.model_dump(mode="json", include={"filter"}, exclude_unset=True)
            },
            created_by=principal.actor.document(),
            created_at=now,
            chunks=0,
            total=0,
        )
        chunks = bulk_actions.select_chunks(runner, organization, body.selection, now)
        return await service.submit(
            runner, draft, organization, chunks, on_stored=on_stored, check_total=check_total
        )

    async def work(claim: Claim) -> Response:
        return await waiting.submit_and_wait(request, runner, claim, prefer, submit)

    content_hash = hashlib.sha256(await request.body()).hexdigest()
    return await run_once(
        request, organization_id=organization.id, key=idempotency_key, content_hash=content_hash, work=work
    )


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
    kind: Annotated[Kind | None, Query(description="Only of this kind.")] = None,
    state: Annotated[State | None, Query(description="Only in this state.")] = None,
    dry_run: Annotated[
        bool | None, Query(description="`true`: only dry runs; `false`: only those that were not.")
    ] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """The organization's operations, newest first."""
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
    """What an operation is, how far it is, and its counts."""
    return present(await _get(database, principal, operation_id))


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
    """Server-sent events until the operation has ended.

    `progress` comes at once and whenever the operation has changed, `end` once it has ended; the data of both is
    the operation, as `GET /operations/{id}` has it. After `end` the stream closes. Where it closes without, as when
    the service stops, ask again. Comments keep it alive, one after 15 seconds in which nothing changed.
    """
    operation = await _get(database, principal, operation_id)
    events = progress.stream_progress(
        database,
        operation,
        LIMITS.of(request.app),
        STOPPING.of(request.app),
        lambda: AUTHENTICATOR.of(request.app).still_admits(authorization_of(request)),
    )
    # Without the second, some proxies would hold events back until there are many.
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
    """What is done stays done and is counted; the rest is not begun. Safe to repeat.

    Waits for the chunk that is running, which is done as a whole, and answers the operation as it ended.
    """
    operation = await _get(runner.database, principal, operation_id)
    return present(await cancelling.cancel(runner.database, runner.clock, operation))


@router.post(
    "/operations/{operation_id}/revert",
    tags=["operations"],
    summary="Revert an operation",
    response_model=OperationDocument,
    responses=ACCEPTED | answers(_NO_OPERATION, OPERATION_NOT_REVERTIBLE, KEY_IN_PROGRESS, KEY_REUSED),
)
async def revert_operation(
    request: Request,
    principal: BulkWriter,
    runner: CurrentRunner,
    now: Now,
    operation_id: OperationIdPath,
    body: RevertRequest | None = None,
    idempotency_key: KeyHeader = None,
    prefer: PreferHeader = None,
) -> Response:
    """Each learner that the operation changed goes back to the facts from before, as a new change.

    Who has changed since is `kept`, with the problem `changed-since`, and so is whose username or external id
    from before belongs to somebody else by now. Whom an import created is deactivated, never removed. What went
    back to deactivated loses access at once. A revert is an operation too, and can be reverted.
    """
    organization = principal.organization
    wanted = body or RevertRequest()

    async def submit(on_stored: OnStored) -> Operation:
        original = await _get(runner.database, principal, operation_id)
        draft = Operation(
            id=new_id(now),
            organization_id=organization.id,
            kind=Kind.REVERT,
            dry_run=wanted.dry_run,
            reason=wanted.reason,
            created_by=principal.actor.document(),
            created_at=now,
            chunks=0,
            total=0,
        )
        return await reverts.submit_revert(runner, draft, original, organization, on_stored)

    async def work(claim: Claim) -> Response:
        return await waiting.submit_and_wait(request, runner, claim, prefer, submit)

    content_hash = hashlib.sha256(await request.body()).hexdigest()
    return await run_once(
        request, organization_id=organization.id, key=idempotency_key, content_hash=content_hash, work=work
    )


@router.get(
    "/operations/{operation_id}/outcomes",
    tags=["operations"],
    summary="List what became of each learner or row",
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
    deactivated: Annotated[
        bool | None, Query(description="`true`: only those who lost, or would lose, access by it.")
    ] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """Outcomes in the order of the file, or of the learners' ids, as far as the operation is.

    Those of a revert come in the order in which it takes back: what was done last comes first.

    `Accept: text/csv` streams all of them: an import's rows as they were sent, plus Line, Outcome and
    Problem. Mend the rows and send that file back.
    """
    operation = await _get(runner.database, principal, operation_id)
    if operation.tidied >= Tidied.OUTCOMES_EXPIRED:
        raise outcomes_removed()
    wanted = WantedOutcomes(sorted(set(map(OutcomeName, outcome or ()))), deactivated)
    if choose_media_type(request, (JSON, CSV)) == CSV:
        return StreamingResponse(
            report.stream_report(runner.database, operation, runner.workers[operation.kind], wanted),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="outcomes.csv"'},
        )
    cursor_of = [operation.id, "outcomes", wanted]
    position = decode_cursor(cursor_of, cursor, (int,))
    async with runner.database.read() as connection:
        found = await repository.list_outcomes(
            connection,
            operation,
            wanted=wanted,
            first_item=position[0] + 1 if position else 0,
            limit=limit + 1,
        )
    shown = found[:limit]
    next_cursor = encode_cursor(cursor_of, [shown[-1].item]) if len(found) > limit else None
    link_next(request, response, next_cursor)
    return {"items": list(map(present_outcome, shown)), "next_cursor": next_cursor}


async def _get(database: Db, principal: Principal, operation_id: str) -> Operation:
    parsed = parse_id(operation_id)
    if parsed is not None:
        async with database.read() as connection:
            operation = await repository.find(connection, principal.organization.id, parsed)
        if operation is not None:
            return operation
    raise Problem(NOT_FOUND, OPERATION_NOT_FOUND)
