"""What routes that start or show operations take, document and answer, in this slice and in those above it."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from app.operations.operation import Operation
from app.operations.runner import Runner
from app.operations.schemas import OperationDocument, present
from app.operations.service import OnStored
from app.platform.database_errors import is_unavailable
from app.platform.idempotency import Claim
from app.platform.state import StateKey

RUNNER: StateKey[Runner] = StateKey("runner")
CurrentRunner = Annotated[Runner, Depends(RUNNER)]

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": OperationDocument,
        "description": "The operation continues in the background. Read it at `Location`, at the earliest after "
        "`Retry-After` seconds.",
    }
}
PreferHeader = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="RFC 7240. `wait=N` waits up to N seconds (0 to 30, default 10) for the operation to end. "
        "`respond-async` does not wait.",
    ),
]

_DEFAULT_WAIT_SECONDS = 10.0
_MAX_WAIT_SECONDS = 30.0
_POLL_SECONDS = 1
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?")
_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])")


def parse_wait(prefer: str | None) -> float:
    """Return how many seconds `Prefer` asks to wait, 0 to 30. Other preferences are ignored (RFC 7240, 2)."""
    header = (prefer or "").lower()
    asked = _WAIT.search(header)
    if asked:
        return min(float(asked[1]), _MAX_WAIT_SECONDS)
    return 0.0 if _ASYNC.search(header) else _DEFAULT_WAIT_SECONDS


def answer_with(request: Request, operation: Operation) -> Response:
    """Answer 200 with an operation that has ended, else 202 with where and when to look again."""
    body = OperationDocument.model_validate(present(operation)).model_dump_json()
    location = f"{request.scope.get('root_path', '')}/operations/{operation.id}"
    if operation.is_finished:
        return Response(body, 200, {"Location": location}, media_type="application/json")
    headers = {"Location": location, "Retry-After": str(_POLL_SECONDS)}
    return Response(body, 202, headers, media_type="application/json")


async def submit_and_wait(
    request: Request,
    runner: Runner,
    prefer: str | None,
    submit: Callable[[OnStored], Awaitable[Operation]],
    claim: Claim,
) -> Response:
    """Submit an operation, bind its answer to the idempotency key, and wait as the client prefers.

    The key's answer is stored in the transaction that makes the operation count, so that a crash while waiting
    cannot let a second request start it again. The final answer replaces it. If the database goes away meanwhile,
    the wait ends: the operation is stored, and continues when the database is back.
    """
    operation = await submit(partial(_complete_claim, request, claim))
    if operation.is_finished:
        return answer_with(request, operation)
    try:
        response = answer_with(request, await runner.wait(operation, parse_wait(prefer)))
        await runner.database.write(claim.complete, response)
    except (SQLAlchemyError, OSError) as error:
        if not is_unavailable(error) and not isinstance(error, PoolTimeout):
            raise
        return answer_with(request, operation)
    return response


async def _complete_claim(
    request: Request, claim: Claim, connection: AsyncConnection, operation: Operation
) -> None:
    await claim.complete(connection, answer_with(request, operation))
