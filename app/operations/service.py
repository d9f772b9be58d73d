"""How an operation comes to be: at once where one chunk holds it, else staged, stored and started."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from app.operations import repository
from app.operations.operation import Chunk, Operation
from app.operations.runner import Runner, TooLargeAtOnce, report_progress
from app.organizations.organization import Organization

# Called in the transaction that makes the operation count, with the operation as it then is.
OnStored = Callable[[AsyncConnection, Operation], Awaitable[None]]


async def submit(
    runner: Runner,
    draft: Operation,
    organization: Organization,
    chunks: AsyncGenerator[Chunk],
    *,
    on_stored: OnStored,
    check_total: Callable[[int], None] = lambda _: None,
) -> Operation:
    """Stage `chunks` and store the operation `draft`, whose chunks and total are set from them.

    What fits in one chunk is done in one transaction together with the operation's row, unless its rehearsal
    finds too much to do besides. More is staged in short transactions; the row comes last and makes the stage
    count, so a crash before it leaves no operation. `check_total` may raise once the total is known: then
    nothing is left either.
    """
    async with aclosing(chunks):
        first = await anext(chunks, None)
        second = None if first is None else await anext(chunks, None)
        if first is not None and second is not None:
            staged = _chain(first, second, chunks)
            return await _stage_all(runner, draft, staged, on_stored=on_stored, check_total=check_total)
    check_total(first.items if first else 0)
    only = first or Chunk(number=0, first_item=0, items=0, content=b"")
    try:
        return await _run_at_once(runner, draft, organization, only, on_stored)
    except TooLargeAtOnce:
        return await _stage_all(runner, draft, _chain(only), on_stored=on_stored, check_total=check_total)


async def _stage_all(
    runner: Runner,
    draft: Operation,
    chunks: AsyncIterator[Chunk],
    *,
    on_stored: OnStored,
    check_total: Callable[[int], None],
) -> Operation:
    staged = total = 0
    may_be_stored = False
    try:
        async for chunk in chunks:
            await runner.database.write(_stage(draft.id, chunk))
            staged, total = staged + 1, total + chunk.items
        check_total(total)

        async def store(connection: AsyncConnection) -> Operation:
            nonlocal may_be_stored
            may_be_stored = False
            stored = await repository.insert_operation(connection, replace(draft, chunks=staged, total=total))
            await on_stored(connection, stored)
            may_be_stored = True
            return stored

        operation = await runner.database.write(store)
    except BaseException:
        # Where a commit fails, only the database knows whether the operation counts now, and needs its stage;
        # if not, housekeeping removes it.
        if not may_be_stored:
            await runner.database.write(lambda connection: repository.delete_stage(connection, draft.id))
        raise
    runner.submitted.set()
    return operation


async def _run_at_once(
    runner: Runner, draft: Operation, organization: Organization, only: Chunk, on_stored: OnStored
) -> Operation:
    async def transaction(connection: AsyncConnection) -> Operation:
        await repository.insert_chunk(connection, draft.id, only)
        whole = replace(draft, chunks=1, total=only.items)
        done = await runner.run_at_once(connection, whole, only, organization)
        await on_stored(connection, done)
        return done

    done = await runner.database.write(transaction)
    report_progress(draft, done)
    return done


def _stage(operation_id: str, chunk: Chunk) -> Callable[[AsyncConnection], Awaitable[None]]:
    async def transaction(connection: AsyncConnection) -> None:
        await repository.insert_chunk(connection, operation_id, chunk)

    return transaction


async def _chain(*read: Chunk | AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    for part in read:
        if isinstance(part, Chunk):
            yield part
            continue
        async for chunk in part:
            yield chunk
