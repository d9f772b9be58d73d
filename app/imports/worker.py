"""Imports a chunk of rows: parse, look up, decide, store, each for thousands of rows at once."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from app.imports import repository
from app.imports.decide import Decision, Roll, moved_name_keys, name_keys
from app.imports.reader import Column, is_report_column
from app.imports.rows import DateFormat, RosterRow, RowProblem, compile_parser
from app.learners import repository as learners
from app.learners.learner import Cause, Learner, username_key
from app.learners.recording import record
from app.learners.unique_keys import split_where_keys_move
from app.operations import repository as operations
from app.operations.operation import Chunk, Kind, Operation, Outcome
from app.platform.threads import compute

Parsed = list[tuple[int, RosterRow | RowProblem]]


@dataclass(frozen=True, slots=True)
class CsvImportWorker:
    """Applies the rows of a chunk."""

    async def remove_work(self, connection: AsyncConnection, operation: Operation, limit: int) -> int:
        """The keys by which it knew whom it has had."""
        return await repository.forget(connection, operation.number, limit)

    def read_chunk(self, operation: Operation, chunk: Chunk) -> Parsed:
        """The rows, with their cells understood."""
        parameters = operation.parameters
        columns = {Column(name): index for name, index in parameters["columns"].items()}
        parse = compile_parser(parameters["header"], columns, DateFormat(parameters["date_format"]))
        return [(line, parse(cells)) for line, cells in orjson.loads(chunk.content)]

    async def run_chunk(
        self,
        connection: AsyncConnection,
        operation: Operation,
        chunk: Chunk,
        work: Parsed,
        cause: Cause,
    ) -> Counter[str]:
        """See Worker.run_chunk."""
        usernames = {username_key(row.username) for _, row in work if row.username is not None}
        external_ids = {row.external_id for _, row in work if row.external_id is not None}
        named = await learners.lock_by_keys(
            connection, operation.organization_id, usernames=usernames, external_ids=external_ids
        )
        roll = Roll(
            named,
            cause,
            creates=operation.parameters["create"],
            is_dry_run=operation.dry_run,
            protected=await _protected(connection, operation, named),
            learner_lines=await repository.find_lines(
                connection, operation.number, [learner.id for learner in named], is_name=False
            ),
            name_lines=await _known_names(connection, operation, work),
        )
        decisions = await compute(len(work), lambda: [roll.decide(line, row) for line, row in work])
        known = {learner.id for learner in named}
        outcomes = asyncio.create_task(
            compute(len(work), lambda: _outcomes(chunk.first_item, decisions, operation, known))
        )
        if not operation.dry_run:
            for changes in split_where_keys_move(
                each.change for each in decisions if each.change is not None
            ):
                await record(connection, operation.organization_id, changes, cause)
        await operations.insert_outcomes(connection, operation, await outcomes)
        if chunk.number + 1 < operation.chunks:
            await repository.remember(connection, operation.number, roll.new_learner_lines, is_name=False)
            await repository.remember(connection, operation.number, roll.new_name_lines, is_name=True)
        return Counter(decision.outcome.value for decision in decisions)

    def report_header(self, operation: Operation) -> Sequence[str]:
        """The header as it was sent, without the columns of an earlier report."""
        return [name for name in operation.parameters["header"] if not is_report_column(name)]

    def report_cells(
        self, operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """The rows as they were sent, each brought to the header's number of cells."""
        header: list[str] = operation.parameters["header"]
        kept = [place for place, name in enumerate(header) if not is_report_column(name)]
        rows = orjson.loads(chunk.content)
        reported: list[Sequence[str]] = []
        for outcome in outcomes:
            cells: list[str] = rows[outcome.item - chunk.first_item][1]
            if any(map(str.strip, cells[len(header) :])):
                # What is too much stays to be seen, in the last column, where it does not shift the report's own.
                last = kept[-1]
                cells = [*cells[:last], operation.parameters["delimiter"].join(cells[last:])]
            reported.append([cells[place] if place < len(cells) else "" for place in kept])
        return reported


async def _known_names(connection: AsyncConnection, operation: Operation, parsed: Parsed) -> dict[str, int]:
    if not await repository.has_names(connection, operation.number):
        return {}
    keys = {key for _, row in parsed for key in name_keys(row)}
    if operation.dry_run:
        keys |= {key for _, row in parsed for key in moved_name_keys(row)}
    return await repository.find_lines(connection, operation.number, keys, is_name=True)


async def _protected(
    connection: AsyncConnection, operation: Operation, named: Sequence[Learner]
) -> frozenset[str]:
    """Those whom a person deactivated: by a single call or a bulk action, not by an import."""
    if not operation.parameters["protect_manual"]:
        return frozenset()
    deactivated = [learner.id for learner in named if learner.account.deactivated_at is not None]
    by_operation = await learners.last_deactivations(connection, operation.organization_id, deactivated)
    kinds = await operations.find_kinds(
        connection, {each for each in by_operation.values() if each is not None}
    )
    return frozenset(
        learner_id
        for learner_id, operation_id in by_operation.items()
        if operation_id is None or kinds.get(operation_id) is not Kind.CSV_IMPORT
    )


def _outcomes(
    first_item: int, decisions: Sequence[Decision], operation: Operation, known: Collection[str]
) -> list[Outcome]:
    outcomes = []
    for item, (line, outcome, username, learner_id, _, problem) in enumerate(decisions, first_item):
        # Whom a dry run would create does not exist.
        shown = None if operation.dry_run and learner_id not in known else learner_id
        outcomes.append(Outcome(item, outcome, shown, username, line, problem))
    return outcomes
