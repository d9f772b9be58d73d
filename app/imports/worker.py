"""Imports a chunk of rows: parse, look up, decide, store, each for thousands of rows at once."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from app.imports import guards, repository
from app.imports.decide import Decision, Roll, moved_name_keys, name_keys
from app.imports.reader import is_report_column
from app.imports.repository import KeyKind
from app.imports.rows import DateFormat, RowProblem, compile_parser
from app.learners import bulk_sql
from app.learners import repository as learners
from app.learners.bulk_sql import Action
from app.learners.learner import Cause, Change, Learner, username_key
from app.learners.recording import record
from app.learners.unique_keys import split_where_keys_move
from app.learners.wish import Wish
from app.operations import repository as operations
from app.operations.operation import Chunk, Kind, Operation, Outcome, OutcomeName, count_outcomes
from app.organizations.organization import Organization
from app.platform.problems import Problem
from app.platform.threads import compute


class ParsedRows(NamedTuple):
    """A chunk of rows, understood, each with its line; and the folded usernames and external ids in them."""

    rows: list[tuple[int, Wish | RowProblem]]
    usernames: set[str]
    external_ids: set[str]


class MissingLearners(NamedTuple):
    """A chunk of learners whom no row of the file names, with their external ids, in id order."""

    ids: list[str]
    external_ids: list[str | None]


@dataclass(frozen=True, slots=True)
class CsvImportWorker:
    """Applies the rows of a chunk, or deactivates the missing learners of one."""

    async def remove_work(self, connection: AsyncConnection, operation: Operation, limit: int) -> int:
        """The keys by which it knew whom it has had."""
        return await repository.forget(connection, operation.number, limit)

    def read_chunk(self, operation: Operation, chunk: Chunk) -> ParsedRows | MissingLearners:
        """The rows, with their cells understood, or the missing learners."""
        staged = orjson.loads(chunk.content)
        if isinstance(staged, dict):
            return MissingLearners(**staged)
        parameters = operation.parameters
        parse = compile_parser(
            parameters["header"], parameters["columns"], DateFormat(parameters["date_format"])
        )
        rows = [(line, parse(cells)) for line, cells in staged]
        return ParsedRows(
            rows,
            {username_key(row.username) for _, row in rows if row.username is not None},
            {row.external_id for _, row in rows if row.external_id is not None},
        )

    async def run_chunk(
        self,
        connection: AsyncConnection,
        operation: Operation,
        chunk: Chunk,
        work: ParsedRows | MissingLearners,
        cause: Cause,
    ) -> Counter[str]:
        """See Worker.run_chunk."""
        if isinstance(work, MissingLearners):
            return await _run_missing(connection, operation, chunk, work, cause)
        rows = work.rows
        named = await learners.lock_by_keys(
            connection,
            operation.organization_id,
            usernames=work.usernames,
            external_ids=work.external_ids,
        )
        roll = Roll(
            named,
            cause,
            creates=operation.parameters["create"],
            is_dry_run=operation.changes_nothing,
            protected=await _protected(connection, operation, named),
            learner_lines=await repository.find_lines(
                connection, operation, KeyKind.LEARNER, [learner.id for learner in named]
            ),
            name_lines=await _known_names(connection, operation, work),
        )
        decisions = await compute(len(rows), lambda: [roll.decide(line, row) for line, row in rows])
        if chunk.number + 1 < operation.chunks or _looks_for_missing(operation):
            await repository.remember(connection, operation, KeyKind.LEARNER, roll.new_learner_lines)
            await repository.remember(connection, operation, KeyKind.NAME, roll.new_name_lines)
            if operation.parameters["missing"] == guards.Missing.DEACTIVATE:
                await _remember_mentions(connection, operation, named, roll)
        if operation.is_rehearsal:
            return guards.count(decisions, operation.rehearsed)
        known = {learner.id for learner in named}
        outcomes = asyncio.create_task(
            compute(len(rows), lambda: _outcomes(chunk.first_item, decisions, operation, known))
        )
        if not operation.changes_nothing:
            for changes in await compute(len(rows), lambda: _batches(decisions)):
                await record(connection, operation.organization_id, changes, cause)
        found = await outcomes
        await operations.insert_outcomes(connection, operation, found)
        return await compute(len(rows), lambda: count_outcomes(found))

    async def find_more(self, connection: AsyncConnection, operation: Operation, limit: int) -> Chunk | None:
        """The next of the learners whom no row names, where they are to be deactivated and can be told."""
        if not _looks_for_missing(operation) or guards.judge_completeness(operation.rehearsed):
            return None
        last = self.read_chunk(
            operation, await operations.get_chunk(connection, operation.id, operation.chunks - 1)
        )
        missing = await learners.list_not_deactivated(
            connection,
            operation.organization_id,
            unless=lambda learner_id: repository.names(operation, learner_id),
            created_by=operation.parameters["created_by"],
            after=last.ids[-1] if isinstance(last, MissingLearners) else None,
            limit=limit,
        )
        if not missing:
            return None
        ids, external_ids = map(list, zip(*missing, strict=True))
        content = orjson.dumps({"ids": ids, "external_ids": external_ids})
        return Chunk(operation.chunks, operation.total, len(ids), content)

    async def judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Problem | None:
        """Whether the file is whole, where that matters, and deactivates no more than the limit allows."""
        if _looks_for_missing(operation):
            incomplete = guards.judge_completeness(operation.rehearsed)
            if incomplete is not None:
                return incomplete
        limit = operation.parameters["max_deactivations"] or organization.max_deactivations
        not_deactivated = await learners.count_not_deactivated(connection, organization.id)
        return guards.judge_deactivations(operation.rehearsed, limit, not_deactivated)

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
        if isinstance(rows, dict):
            return _missing_cells(operation, chunk, MissingLearners(**rows), outcomes)
        reported: list[Sequence[str]] = []
        for outcome in outcomes:
            cells: list[str] = rows[outcome.item - chunk.first_item][1]
            if any(map(str.strip, cells[len(header) :])):
                # What is too much stays to be seen, in the last column, where it does not shift the report's own.
                last = kept[-1]
                cells = [*cells[:last], operation.parameters["delimiter"].join(cells[last:])]
            reported.append([cells[place] if place < len(cells) else "" for place in kept])
        return reported


async def _known_names(
    connection: AsyncConnection, operation: Operation, parsed: ParsedRows
) -> dict[str, int]:
    if not await repository.has_names(connection, operation):
        return {}
    keys = {key for _, row in parsed.rows for key in name_keys(row)}
    if operation.changes_nothing:
        keys |= {key for _, row in parsed.rows for key in moved_name_keys(row)}
    return await repository.find_lines(connection, operation, KeyKind.NAME, keys)


def _looks_for_missing(operation: Operation) -> bool:
    return operation.is_rehearsal and operation.parameters["missing"] == guards.Missing.DEACTIVATE


async def _remember_mentions(
    connection: AsyncConnection, operation: Operation, named: Sequence[Learner], roll: Roll
) -> None:
    """Note whom the chunk's rows name besides those whose rows they are: they are not missing."""
    others = [learner.id for learner in named if learner.id not in roll.learner_lines]
    mentioned = await repository.find_lines(connection, operation, KeyKind.MENTION, others)
    lines = dict.fromkeys(set(others) - mentioned.keys(), 0)
    await repository.remember(connection, operation, KeyKind.MENTION, lines)


async def _run_missing(
    connection: AsyncConnection, operation: Operation, chunk: Chunk, missing: MissingLearners, cause: Cause
) -> Counter[str]:
    organization_id, ids = operation.organization_id, missing.ids
    if operation.is_rehearsal:
        return Counter({guards.MISSING: len(ids)})
    await bulk_sql.lock_many(connection, organization_id, ids)
    # Somebody may have given a learner, since they were found missing, a name that stands in the file.
    named = await repository.find_named(connection, operation, ids)
    decided = bulk_sql.decide(Action.DEACTIVATE, organization_id, ids, cause, connection.dialect.name)
    outcomes = [
        Outcome(
            item,
            OutcomeName.UNCHANGED if row.id in named else OutcomeName(row.outcome),
            row.id,
            row.username,
            deactivated=row.id not in named and row.outcome == OutcomeName.CHANGED,
        )
        for item, row in enumerate(await connection.execute(decided), chunk.first_item)
    ]
    if not operation.changes_nothing:
        wanted = [learner_id for learner_id in ids if learner_id not in named]
        await bulk_sql.apply(connection, Action.DEACTIVATE, organization_id, wanted, cause)
    await operations.insert_outcomes(connection, operation, outcomes)
    return count_outcomes(outcomes)


def _missing_cells(
    operation: Operation, chunk: Chunk, missing: MissingLearners, outcomes: Sequence[Outcome]
) -> list[Sequence[str]]:
    """A row for each that names the learner as the file would have, and asks for nothing."""
    columns: dict[str, int] = operation.parameters["columns"]
    header: list[str] = operation.parameters["header"]
    kept = [place for place, name in enumerate(header) if not is_report_column(name)]
    reported: list[Sequence[str]] = []
    for outcome in outcomes:
        external_id = missing.external_ids[outcome.item - chunk.first_item]
        keys = {columns.get("username"): outcome.username, columns.get("external_id"): external_id}
        reported.append([keys.get(place) or "" for place in kept])
    return reported


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


def _batches(decisions: Sequence[Decision]) -> list[list[Change]]:
    return list(split_where_keys_move(each.change for each in decisions if each.change is not None))


def _outcomes(
    first_item: int, decisions: Sequence[Decision], operation: Operation, known: Collection[str]
) -> list[Outcome]:
    outcomes = []
    for item, (line, outcome, username, learner_id, change, problem) in enumerate(decisions, first_item):
        # Whom a dry run would create does not exist.
        shown = None if operation.changes_nothing and learner_id not in known else learner_id
        deactivated = change is not None and change.deactivates
        outcomes.append(Outcome(item, outcome, shown, username, line, problem, deactivated))
    return outcomes
