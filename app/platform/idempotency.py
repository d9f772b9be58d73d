"""`Idempotency-Key`: a request that is sent twice is carried out once and answered twice.

A key is claimed in its own transaction, so a second request sees it at once. The answer is stored in the same
transaction as the change, so neither exists without the other.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Header, Request
from fastapi.responses import Response
from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.platform.dependencies import CLOCK, DATABASE
from app.platform.ids import new_id
from app.platform.problems import (
    INVALID_REQUEST,
    TRANSLATE,
    Problem,
    define_problem,
    illustrate,
    request_id_of,
)
from app.platform.tables import idempotency_keys

KEPT = timedelta(hours=24)
# A process may die while it holds a claim. After this time another request may take the claim over.
_CLAIM_LASTS = timedelta(minutes=2)
_STORED_HEADERS = ("location", "etag", "content-type", "retry-after")
_PURGED_AT_ONCE = 100
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

KEY_REUSED = define_problem(
    "idempotency-key-reused",
    422,
    "Idempotency key already used",
    "This Idempotency-Key was already used with another method, address or body. Use a new key for each request.",
)
KEY_IN_PROGRESS = define_problem(
    "idempotency-key-in-progress",
    409,
    "First request still running",
    "The first request with this Idempotency-Key is still running. Send the same request again after `Retry-After` "
    "seconds.",
)

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Makes a request safe to repeat. Send 1 to 255 ASCII letters, digits and punctuation marks "
        "(`!` to `~`) without spaces, such as a UUID. If you repeat a request byte for byte with the same "
        "key, you get the first response again, with `Idempotent-Replayed: true`. Keys are kept for 24 hours.",
    ),
]


class ClaimLost(Exception):
    """Another request took the claim over, so this one must not commit anything."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to carry out the request with one key. Does nothing if the request has no key."""

    organization_id: int
    key: str | None = None
    token: str = ""

    async def complete(self, connection: AsyncConnection, response: Response) -> None:
        """Store the answer in the transaction of the change. Raises ClaimLost."""
        if self.key is None:
            return
        body = bytes(response.body).decode()
        headers = {name: value for name, value in response.headers.items() if name in _STORED_HEADERS}
        completed = await connection.execute(
            update(idempotency_keys)
            .where(self._is_mine())
            .values(status=response.status_code, headers=headers, body=body)
        )
        if completed.rowcount != 1:
            raise ClaimLost(self.key)

    async def release(self, connection: AsyncConnection) -> None:
        """Forget the key, so that the request can be tried again, unless its answer is stored.

        The answer is stored if the change was committed and only the confirmation, or later work, failed.
        """
        await connection.execute(
            delete(idempotency_keys).where(self._is_mine(), idempotency_keys.c.status.is_(None))
        )

    def _is_mine(self) -> Any:
        return and_(
            idempotency_keys.c.organization_id == self.organization_id,
            idempotency_keys.c.key == self.key,
            idempotency_keys.c.claim == self.token,
        )


async def run_once(
    request: Request,
    *,
    organization_id: int,
    key: str | None,
    content_hash: str,
    work: Callable[[Claim], Awaitable[Response]],
) -> Response:
    """Carry out `work`, or return the first answer again if this key and request came before.

    `work` stores its answer with `claim.complete` in the transaction of its change. A refusal (4xx) is stored too.
    A failure (5xx) is not, so the request can be sent again. Raises the problems `idempotency-key-reused`,
    `idempotency-key-in-progress` and `invalid-request`.
    """
    if key is None:
        return await work(Claim(organization_id))
    if not _KEY.fullmatch(key):
        detail = "The Idempotency-Key must have 1 to 255 ASCII letters, digits or punctuation marks, without spaces."
        raise Problem(
            INVALID_REQUEST, detail, errors=[{"pointer": "header:Idempotency-Key", "detail": detail}]
        )
    database = DATABASE.of(request.app)
    query = urlencode(sorted(request.query_params.multi_items()))
    asked = f"{request.method}\n{request.url.path}\n{query}\n{content_hash}"
    request_hash = hashlib.sha256(asked.encode()).hexdigest()
    now = CLOCK.of(request.app).now()
    claimed = await database.write(_claim, organization_id, key, request_hash, now)
    if isinstance(claimed, Response):
        return claimed
    try:
        return await work(claimed)
    except ClaimLost:
        raise _in_progress() from None
    except Exception as error:
        problem = TRANSLATE.of(request.app)(error)
        with suppress(ClaimLost):  # another request took the claim over; this one still answers
            if problem.type.status < 500:  # noqa: PLR2004
                await database.write(_complete, claimed, problem.response(request_id_of(request)))
            else:
                await database.write(_release, claimed)
        raise


async def _complete(connection: AsyncConnection, claim: Claim, answer: Response) -> None:
    await claim.complete(connection, answer)


async def _release(connection: AsyncConnection, claim: Claim) -> None:
    await claim.release(connection)


async def _claim(
    connection: AsyncConnection, organization_id: int, key: str, request_hash: str, now: datetime
) -> Claim | Response:
    expired = (
        select(idempotency_keys.c.organization_id, idempotency_keys.c.key)
        .where(idempotency_keys.c.created_at < now - KEPT)
        .limit(_PURGED_AT_ONCE)
    )
    for stale in (await connection.execute(expired)).all():
        await connection.execute(
            delete(idempotency_keys).where(
                idempotency_keys.c.organization_id == stale.organization_id,
                idempotency_keys.c.key == stale.key,
                idempotency_keys.c.created_at < now - KEPT,
            )
        )
    mine = and_(idempotency_keys.c.organization_id == organization_id, idempotency_keys.c.key == key)
    known = (await connection.execute(select(idempotency_keys).where(mine).with_for_update())).one_or_none()
    claim = Claim(organization_id, key, new_id(now))
    fresh = {"claim": claim.token, "claimed_until": now + _CLAIM_LASTS, "created_at": now}
    if known is None or known.created_at < now - KEPT:
        await connection.execute(delete(idempotency_keys).where(mine))
        await connection.execute(
            insert(idempotency_keys).values(
                organization_id=organization_id, key=key, request_hash=request_hash, **fresh
            )
        )
        return claim
    if known.request_hash != request_hash:
        raise _reused()
    if known.status is not None:
        return Response(
            known.body, known.status, headers={**(known.headers or {}), "Idempotent-Replayed": "true"}
        )
    if known.claimed_until > now:
        raise _in_progress()
    await connection.execute(update(idempotency_keys).where(mine).values(**fresh))
    return claim


def _reused() -> Problem:
    return Problem(
        KEY_REUSED, "This Idempotency-Key was already used for a different request. Send a new key."
    )


def _in_progress() -> Problem:
    return Problem(
        KEY_IN_PROGRESS,
        "The first request with this Idempotency-Key is still running. Try again shortly.",
        headers={"Retry-After": "2"},
    )


illustrate(_reused())
illustrate(_in_progress())
