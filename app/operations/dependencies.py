"""What routes that start or show operations take, document and answer, in this slice and in those above it."""

import hashlib
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
from app.operations.service import Asker
from app.organizations.dependencies import BulkWriter
from app.platform.database_errors import is_unavailable
from app.platform.dependencies import Now
from app.platform.idempotency import Claim, KeyHeader, run_once
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


class Submission:
    """What every request that starts an operation takes: who asks, when, under which key, and how long to wait."""

    def __init__(
        self,
        request: Request,
        principal: BulkWriter,
        runner: CurrentRunner,
        now: Now,
        idempotency_key: KeyHeader = None,
        prefer: PreferHeader = None,
    ) -> None:
        self.runner, self.organization = runner, principal.organization
        self._request, self._actor, self._now = request, principal.actor, now
        self._key, self._wait = idempotency_key, parse_wait(prefer)

    async def answer(
        self, submit: Callable[[Asker], Awaitable[Operation]], content_hash: str | None = None
    ) -> Response:
        """Submit an operation once for each idempotency key, and wait for its end as long as the client prefers.

        `content_hash`: the SHA-256 of what was sent, if it is not the body of the request.
        """
        if content_hash is None:
            content_hash = hashlib.sha256(await self._request.body()).hexdigest()
        return await run_once(
            self._request,
            organization_id=self.organization.id,
            key=self._key,
            content_hash=content_hash,
            work=partial(self._submit_and_wait, submit),
        )

    async def _submit_and_wait(
        self, submit: Callable[[Asker], Awaitable[Operation]], claim: Claim
    ) -> Response:
        """Bind the answer to the idempotency key in the transaction that makes the operation count.

        So a crash while waiting cannot let a second request start it again. The final answer replaces it. If the
        database goes away meanwhile, the wait ends: the operation is stored, and continues when the database is back.
        """
        on_stored = partial(_complete_claim, self._request, claim)
        operation = await submit(Asker(self.organization, self._actor, self._now, on_stored))
        if operation.is_finished:
            return answer_with(self._request, operation)
        try:
            response = answer_with(self._request, await self.runner.run_or_wait(operation, self._wait))
            await self.runner.database.write(claim.complete, response)
        except (SQLAlchemyError, OSError) as error:
            if not is_unavailable(error) and not isinstance(error, PoolTimeout):
                raise
            return answer_with(self._request, operation)
        return response


CurrentSubmission = Annotated[Submission, Depends()]


async def _complete_claim(
    request: Request, claim: Claim, connection: AsyncConnection, operation: Operation
) -> None:
    await claim.complete(connection, answer_with(request, operation))
