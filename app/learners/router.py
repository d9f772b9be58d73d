"""`/learners`: one learner, and lists, counts and exports of many."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners import export, problems, repository, service
from app.learners.dependencies import (
    EXPORTS,
    IF_MATCH,
    IF_NONE_MATCH,
    LearnerIdPath,
    is_known,
    make_cause,
    parse_learner_id,
    read_if_match,
)
from app.learners.etags import etag_of
from app.learners.filters import LearnerFilter
from app.learners.learner import Cause, Learner
from app.learners.schemas import (
    ActionBody,
    EventDocument,
    LearnerDocument,
    LearnerPage,
    LearnerPatch,
    LearnerQuery,
    NewLearner,
    StatusCounts,
    present,
)
from app.learners.sort import Sort, parse_sort, write_position
from app.learners.wish import Wish
from app.limits import LIMITS
from app.organizations.dependencies import AuthenticatedRoute, HistoryReader, Reader, Writer
from app.organizations.principal import Principal
from app.platform.csv_stream import prepend
from app.platform.database import Database
from app.platform.dependencies import DATABASE, Db, Now
from app.platform.idempotency import KEY_IN_PROGRESS, KEY_REUSED, Claim, KeyHeader, run_once
from app.platform.negotiation import CSV, JSON, choose_media_type
from app.platform.openapi import Tag, answers, header_fields
from app.platform.paging import (
    INVALID_CURSOR,
    CursorText,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    invalid_cursor,
    link_next,
)
from app.platform.problems import NOT_ACCEPTABLE, OVERLOADED, Problem

_NOT_FOUND = problems.learner_not_found()

_CSV_CONTENT: dict[str, Any] = {
    "text/csv": {
        "schema": {"type": "string"},
        "example": "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\r\n"
        "a.okafor,HR-1003,a.okafor@example.org,Adaeze,Okafor,Yes,\r\n",
    }
}

TAG = Tag(name="learners", description="One learner, and lists, counts and exports of many.")
router = APIRouter(prefix="/learners", tags=["learners"], route_class=AuthenticatedRoute)


@router.get(
    "",
    summary="List or export learners",
    response_model=LearnerPage,
    response_model_exclude_unset=True,
    responses=answers(INVALID_CURSOR, NOT_ACCEPTABLE, ok=_CSV_CONTENT),
)
async def list_learners(
    request: Request,
    response: Response,
    principal: Reader,
    database: Db,
    now: Now,
    query: Annotated[LearnerQuery, Query()],
) -> Any:
    """Return a page of the learners that match every given filter.

    `Accept: text/csv` returns a CSV file of all matches, with the columns of an import. It ignores the paging
    parameters.
    """
    today = principal.organization.today(now)
    sort = parse_sort(query.sort)
    if choose_media_type(request, (JSON, CSV)) == CSV:
        return await _export(request, principal, query, today, sort)
    cursor_of = [principal.organization.public_id, "learners", query.filter_document()]
    after = _parse_position(sort, decode_cursor(cursor_of, query.cursor, (str,) * len(sort.columns)))
    organization_id, few = principal.organization.id, LIMITS.of(request.app).few_matches
    total = {}
    async with database.read() as connection:
        found = await repository.list_learners(
            connection, organization_id, query, today, sort=sort, after=after, limit=query.limit + 1, few=few
        )
        if query.include:
            count = await repository.count_learners(connection, organization_id, query, today, few=few)
            total = {"total": count}
    shown = found[: query.limit]
    next_cursor = (
        encode_cursor(cursor_of, write_position(shown[-1].position)) if len(found) > len(shown) else None
    )
    link_next(request, response, next_cursor)
    return {
        "items": [present(each.learner, today) for each in shown],
        "next_cursor": next_cursor,
        **total,
    }


def _parse_position(sort: Sort, texts: list[str] | None) -> list[Any] | None:
    if texts is None:
        return None
    try:
        return sort.parse_position(texts)
    except ValueError:
        raise invalid_cursor() from None


async def _export(
    request: Request, principal: Principal, wanted: LearnerFilter, today: date, sort: Sort
) -> StreamingResponse:
    exports, limits = EXPORTS.of(request.app), LIMITS.of(request.app)
    if exports.locked():
        raise Problem(
            OVERLOADED,
            f"{limits.exports_at_once} exports are already running. Try again in a few seconds.",
            headers={"Retry-After": "5"},
        )

    streamed = _stream_export(
        exports,
        DATABASE.of(request.app),
        principal.organization.id,
        wanted,
        today,
        sort=sort,
        few=limits.few_matches,
    )
    # Read the first part now. Once the answer has begun, it cannot report that the database is unavailable.
    return StreamingResponse(
        prepend(await anext(streamed), streamed),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="learners.csv"'},
    )


async def _stream_export(
    exports: asyncio.Semaphore,
    database: Database,
    organization_id: int,
    wanted: LearnerFilter,
    today: date,
    *,
    sort: Sort,
    few: int,
) -> AsyncIterator[bytes]:
    async with (
        exports,
        database.snapshot() as connection,
        export.open_export(connection, organization_id, wanted, today, sort=sort, few=few) as parts,
    ):
        async for part in parts:
            yield part


@router.get("/status-counts", summary="Count learners by status", response_model=StatusCounts)
async def count_by_status(
    request: Request, principal: Reader, database: Db, now: Now, wanted: Annotated[LearnerFilter, Query()]
) -> Any:
    """Count the matching learners by their status today. Takes the filters of `GET /learners`."""
    today = principal.organization.today(now)
    async with database.read() as connection:
        counts = await repository.count_by_status(
            connection,
            principal.organization.id,
            wanted,
            today,
            few=LIMITS.of(request.app).few_matches,
        )
    return {status.value: number for status, number in counts.items()} | {"total": sum(counts.values())}


@router.post(
    "",
    summary="Create a learner",
    status_code=201,
    response_model=LearnerDocument,
    responses=answers(
        problems.USERNAME_TAKEN,
        problems.EXTERNAL_ID_TAKEN,
        KEY_IN_PROGRESS,
        KEY_REUSED,
        status=201,
        headers=("ETag", "Location"),
    ),
)
async def create_learner(
    request: Request,
    principal: Writer,
    database: Db,
    now: Now,
    body: NewLearner,
    idempotency_key: KeyHeader = None,
) -> Response:
    """Create a learner. They are activated: they have access but have not used it yet.

    If `expires_on` has passed, they are expired.
    """
    organization = principal.organization
    cause = make_cause(principal, now)
    wish, root = body.wish(), request.scope.get("root_path", "")

    async def create(claim: Claim) -> Response:
        return await database.write(_create, organization.id, wish, cause, root, claim)

    return await run_once(
        request,
        organization_id=organization.id,
        key=idempotency_key,
        content_hash=hashlib.sha256(await request.body()).hexdigest(),
        work=create,
    )


async def _create(
    connection: AsyncConnection, organization_id: int, wish: Wish, cause: Cause, root: str, claim: Claim
) -> Response:
    learner = await service.create_learner(connection, organization_id, wish, cause)
    response = _answer(learner, cause.today, status_code=201)
    response.headers["Location"] = f"{root}/learners/{learner.id}"
    await claim.complete(connection, response)
    return response


def _answer(learner: Learner, today: date, status_code: int = 200) -> Response:
    document = LearnerDocument.model_validate(present(learner, today))
    return Response(
        document.model_dump_json(),
        status_code,
        {"ETag": etag_of(learner, today)},
        media_type="application/json",
    )


@router.get(
    "/{learner_id}",
    summary="Get a learner",
    response_model=LearnerDocument,
    responses=answers(_NOT_FOUND, headers=("ETag",))
    | {
        304: {
            "description": "Nothing has changed: `If-None-Match` holds the current `ETag`.",
            "headers": header_fields("ETag"),
        }
    },
    openapi_extra=IF_NONE_MATCH,
)
async def get_learner(
    request: Request, principal: Reader, database: Db, now: Now, learner_id: LearnerIdPath
) -> Response:
    """Return a learner, with an `ETag`. With `If-None-Match`, the response is 304 if nothing has changed."""
    async with database.read() as connection:
        learner = await service.get_learner(
            connection, principal.organization.id, parse_learner_id(learner_id)
        )
    today = principal.organization.today(now)
    etag = etag_of(learner, today)
    if is_known(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return _answer(learner, today)


@router.patch(
    "/{learner_id}",
    summary="Change a learner",
    response_model=LearnerDocument,
    responses=answers(
        _NOT_FOUND,
        problems.USERNAME_TAKEN,
        problems.EXTERNAL_ID_TAKEN,
        problems.VERSION_MISMATCH,
        headers=("ETag",),
    ),
    openapi_extra=IF_MATCH,
)
async def patch_learner(
    request: Request, principal: Writer, database: Db, now: Now, learner_id: LearnerIdPath, body: LearnerPatch
) -> Response:
    """Apply a merge patch. A past `expires_on` expires the learner at once.

    Today, a later day or null restores an expired learner to `restores_to`.
    """
    return await _change(request, principal, database, learner_id, make_cause(principal, now), body.wish())


_ACTION_ANSWERS = (_NOT_FOUND, problems.VERSION_MISMATCH)


@router.post(
    "/{learner_id}/activate",
    summary="Activate a learner",
    response_model=LearnerDocument,
    responses=answers(*_ACTION_ANSWERS, problems.LEARNER_EXPIRED, headers=("ETag",)),
    openapi_extra=IF_MATCH,
)
async def activate_learner(
    request: Request,
    principal: Writer,
    database: Db,
    now: Now,
    learner_id: LearnerIdPath,
    body: ActionBody | None = None,
) -> Response:
    """Give a deactivated learner access again. Safe to repeat.

    Refused if the learner has expired: change `expires_on` instead.
    """
    cause = make_cause(principal, now, body.reason if body else None)
    return await _change(request, principal, database, learner_id, cause, Wish(is_active=True))


@router.post(
    "/{learner_id}/deactivate",
    summary="Deactivate a learner",
    response_model=LearnerDocument,
    responses=answers(*_ACTION_ANSWERS, headers=("ETag",)),
    openapi_extra=IF_MATCH,
)
async def deactivate_learner(
    request: Request,
    principal: Writer,
    database: Db,
    now: Now,
    learner_id: LearnerIdPath,
    body: ActionBody | None = None,
) -> Response:
    """Take access away. It takes effect before the response is sent. Safe to repeat. Deletes nothing."""
    cause = make_cause(principal, now, body.reason if body else None)
    return await _change(request, principal, database, learner_id, cause, Wish(is_active=False))


async def _change(
    request: Request,
    principal: Principal,
    database: Db,
    learner_id: str,
    cause: Cause,
    wish: Wish,
) -> Response:
    learner = await database.write(
        service.change_learner,
        principal.organization.id,
        parse_learner_id(learner_id),
        wish,
        expected=read_if_match(request),
        cause=cause,
    )
    return _answer(learner, cause.today)


@router.get(
    "/{learner_id}/events",
    summary="List a learner's history",
    response_model=Page[EventDocument],
    responses=answers(_NOT_FOUND, INVALID_CURSOR),
)
async def list_learner_events(
    request: Request,
    response: Response,
    principal: HistoryReader,
    database: Db,
    learner_id: LearnerIdPath,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """Return every change of one learner, newest first."""
    organization = principal.organization
    cursor_of = [organization.public_id, "history", parse_learner_id(learner_id)]
    position = decode_cursor(cursor_of, cursor, (int,))
    async with database.read() as connection:
        learner = await service.get_learner(connection, organization.id, parse_learner_id(learner_id))
        found = await repository.list_events(
            connection,
            organization.id,
            learner.id,
            before_version=position[0] if position else None,
            limit=limit + 1,
        )
    shown = found[:limit]
    next_cursor = encode_cursor(cursor_of, [shown[-1].version]) if len(found) > limit else None
    link_next(request, response, next_cursor)
    return {"items": [event._asdict() for event in shown], "next_cursor": next_cursor}
