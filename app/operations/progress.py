"""The progress of an operation as server-sent events.

It is read from the database, because any process may run the operation.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.limits import Limits
from app.operations import repository
from app.operations.operation import Operation
from app.operations.schemas import OperationDocument, present
from app.platform.database import Database
from app.platform.database_errors import is_unavailable

MEDIA_TYPE = "text/event-stream"
# A comment: clients ignore it, and proxies keep the connection open for it.
_KEEP_ALIVE = ": keep-alive\n\n"


async def stream_progress(
    database: Database,
    operation: Operation,
    limits: Limits,
    stopping: asyncio.Event,
    is_admitted: Callable[[], Awaitable[bool]],
) -> AsyncIterator[str]:
    """Yield `progress` with the operation at once and after each change, and `end` when it has ended.

    The stream ends without `end` if the service stops, or if `is_admitted` says that the client's credential is no
    longer valid. Between two looks it holds no connection. If the database is away, the next look tries again.
    """
    loop = asyncio.get_running_loop()
    shown, shown_at = operation, loop.time()
    yield _event("progress", operation)
    while not operation.is_finished:
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), limits.progress_look_seconds)
        if stopping.is_set():
            return
        try:
            if not await is_admitted():
                return
            operation = await _look(database, operation)
        except (SQLAlchemyError, OSError) as error:
            if not is_unavailable(error) and not isinstance(error, PoolTimeout):
                raise
        if operation != shown and not operation.is_finished:
            shown, shown_at = operation, loop.time()
            yield _event("progress", operation)
        elif loop.time() - shown_at >= limits.keep_alive_seconds:
            shown_at = loop.time()
            yield _KEEP_ALIVE
    yield _event("end", operation)


async def _look(database: Database, operation: Operation) -> Operation:
    async with database.read() as connection:
        return (
            await repository.find_operation(connection, operation.organization_id, operation.id) or operation
        )


def _event(name: str, operation: Operation) -> str:
    document = OperationDocument.model_validate(present(operation)).model_dump_json()
    return f"event: {name}\ndata: {document}\n\n"
