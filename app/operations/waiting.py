"""How long a request waits for its operation, and the answer that it then gives."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header, Request
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

_DEFAULT_WAIT_SECONDS = 10.0
_MAX_WAIT_SECONDS = 30.0
_POLL_SECONDS = 1
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?")
_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])")

PreferHeader = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="RFC 7240: `wait=N` waits up to N seconds (0 to 30, default 10) for the operation to end; "
        "`respond-async` does not wait.",
    ),
]


def seconds_to_wait(prefer: str | None) -> float:
    """What `Prefer` asks for, in seconds, 0 to 30. What it says else is ignored, as RFC 7240 has it."""
    header = (prefer or "").lower()
    asked = _WAIT.search(header)
    if asked:
        return min(float(asked[1]), _MAX_WAIT_SECONDS)
    return 0.0 if _ASYNC.search(header) else _DEFAULT_WAIT_SECONDS


def answer(request: Request, operation: Operation) -> Response:
    """200 with an operation that has ended, else 202 with where and when to look again."""
    body = OperationDocument.model_validate(present(operation)).model_dump_json()
    location = f"{request.scope.get('root_path', '')}/operations/{operation.id}"
    if operation.is_finished:
        return Response(body, 200, {"Location": location}, media_type="application/json")
    headers = {"Location": location, "Retry-After": str(_POLL_SECONDS)}
    return Response(body, 202, headers, media_type="application/json")


async def submit_and_wait(
    request: Request,
    runner: Runner,
    claim: Claim,
    prefer: str | None,
    submit: Callable[[OnStored], Awaitable[Operation]],
) -> Response:
    """Submit an operation, bind its answer to the idempotency key, and wait as the client prefers.

    The key's answer is stored in the transaction that makes the operation count, so that a crash while
    waiting cannot let a second request start it again; the answer given in the end replaces it. A database
    that goes away meanwhile ends the wait: the operation is stored, and goes on when it is back.
    """

    async def on_stored(connection: AsyncConnection, operation: Operation) -> None:
        await claim.complete(connection, answer(request, operation))

    operation = await submit(on_stored)
    if operation.is_finished:
        return answer(request, operation)
    try:
        response = answer(request, await runner.wait(operation, seconds_to_wait(prefer)))
        await runner.database.write(lambda connection: claim.complete(connection, response))
    except (SQLAlchemyError, OSError) as error:
        if not is_unavailable(error) and not isinstance(error, PoolTimeout):
            raise
        return answer(request, operation)
    return response
