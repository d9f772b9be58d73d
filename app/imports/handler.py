"""Imports a chunk of rows: parse, look up, decide, store, each for thousands of rows at once."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from app.imports import guards, repository
from app.imports.chunks import MissingLearners, decode_content
from app.imports.decide import Decision, Roll, moved_name_keys, name_keys
from app.imports.errors import GuardReason
from app.imports.headers import is_report_column
from app.imports.problems import describe_guard, describe_row
from app.imports.repository import KeyKind
from app.imports.rows import DateFormat, EmptyCells, InvalidRow, compile_parser
from app.learners import bulk_sql
from app.learners import repository as learners
from app.learners.bulk_sql import Action
from app.learners.learner import Cause, Change, Learner, username_key
from app.learners.recording import record
from app.learners.unique_keys import split_where_keys_move
from app.learners.wish import Wish
from app.operations import repository as operations
from app.operations.handler import ReportFormat
from app.operations.operation import (
    Chunk,
    Kind,
    Operation,
    Outcome,
    OutcomeName,
    Rehearsal,
    Tally,
    count_outcomes,
)
from app.operations.parameters import CsvImportParameters
from app.organizations.organization import Organization
from app.platform.threads import compute


class ParsedRow(NamedTuple):
    """A parsed row, and the line on which it begins."""

    line: int
    content: Wish | InvalidRow


class ParsedRows(NamedTuple):
    """A chunk of parsed rows, and the folded usernames and external ids in them."""

    rows: list[ParsedRow]
    usernames: set[str]
    external_ids: set[str]


@dataclass(frozen=True, slots=True)
class CsvImportHandler:
    """Applies the rows of a chunk, or deactivates the missing learners of one."""

    async def remove_work(self, connection: AsyncConnection, operation: Operation, limit: int) -> int:
        """Remove the keys of the learners that the import has handled."""
        return await repository.delete_keys(connection, operation.number, limit)

    def read_chunk(self, operation: Operation, chunk: Chunk) -> ParsedRows | MissingLearners:
        """Parse the rows, or return the missing learners."""
        staged = decode_content(chunk.content)
        if isinstance(staged, MissingLearners):
            return staged
        parameters = _parameters_of(operation)
        parse = compile_parser(
            parameters.header,
            parameters.columns,
            DateFormat(parameters.date_format),
            EmptyCells(parameters.empty),
            has_whole_ids=parameters.has_whole_ids,
        )
        rows = [ParsedRow(row.line, parse(row.cells)) for row in staged.rows]
        usernames = (row.content.username for row in rows)
        external_ids = (row.content.external_id for row in rows)
        return ParsedRows(
            rows,
            {username_key(username) for username in usernames if username is not None},
            {external_id for external_id in external_ids if external_id is not None},
        )

    async def run_chunk(
        self,
        connection: AsyncConnection,
        operation: Operation,
        chunk: Chunk,
        work: ParsedRows | MissingLearners,
        cause: Cause,
    ) -> Tally:
        """See Handler.run_chunk."""
        if isinstance(work, MissingLearners):
            return await _deactivate_missing(connection, operation, chunk, work, cause)
        rows = work.rows
        named = await learners.lock_by_keys(
            connection,
            operation.organization_id,
            usernames=work.usernames,
            external_ids=work.external_ids,
        )
        roll = await _prepare_roll(connection, operation, work, named, cause)
        decisions = await compute(len(rows), lambda: [roll.decide(row.line, row.content) for row in rows])
        if chunk.number + 1 < operation.chunks or _looks_for_missing(operation):
            await _store_lines(connection, operation, named, roll)
        if operation.is_rehearsal:
            return Tally(rehearsal=guards.count(decisions))
        known = {learner.id for learner in named}
        outcomes = asyncio.create_task(
            compute(len(rows), lambda: _list_outcomes(chunk.first_item, decisions, operation, known))
        )
        if not operation.changes_nothing:
            for changes in await compute(len(rows), lambda: _split_changes(decisions)):
                await record(connection, operation.organization_id, changes, cause)
        found = await outcomes
        await operations.insert_outcomes(connection, operation, found)
        return await compute(len(rows), lambda: count_outcomes(found))

    async def find_more(self, connection: AsyncConnection, operation: Operation, limit: int) -> Chunk | None:
        """Return the next missing learners, if they are to be deactivated and the file is complete."""
        if not _looks_for_missing(operation) or guards.judge_completeness(operation.rehearsed):
            return None
        last_chunk = await operations.get_chunk(connection, operation.id, operation.chunks - 1)
        last = decode_content(last_chunk.content)
        missing = await learners.list_not_deactivated(
            connection,
            operation.organization_id,
            unless=lambda learner_id: repository.is_named(operation, learner_id),
            created_by=_parameters_of(operation).created_until,
            after=last.ids[-1] if isinstance(last, MissingLearners) else None,
            limit=limit,
        )
        if not missing:
            return None
        found = MissingLearners([each.id for each in missing], [each.external_id for each in missing])
        return Chunk(operation.chunks, operation.total, len(missing), found.encode())

    async def judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Mapping[str, Any] | None:
        """Return the problem if the file is incomplete and that matters, or if it deactivates too many learners."""
        reason: GuardReason | None = None
        if _looks_for_missing(operation):
            reason = guards.judge_completeness(operation.rehearsed)
        if reason is None:
            limit = _parameters_of(operation).max_deactivations or organization.max_deactivations
            not_deactivated = await learners.count_not_deactivated(connection, organization.id)
            reason = guards.judge_deactivations(operation.rehearsed, limit, not_deactivated)
        return None if reason is None else describe_guard(reason)

    def report_format(self, operation: Operation) -> ReportFormat:
        """Return the header as it was sent, without the columns of an earlier report."""
        parameters = _parameters_of(operation)
        header = [name for name in parameters.header if not is_report_column(name)]
        # Without a mark Excel reads a file in its own old encoding. A file that came as UTF-8 without a mark gets none.
        has_mark = parameters.has_mark or parameters.encoding != "utf-8"
        return ReportFormat(header, parameters.delimiter, has_mark)

    def report_cells(
        self, operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """Return the rows as they were sent, each with the header's number of cells."""
        parameters = _parameters_of(operation)
        kept = _kept_places(parameters)
        staged = decode_content(chunk.content)
        if isinstance(staged, MissingLearners):
            return _missing_cells(parameters, chunk, staged, outcomes)
        reported: list[Sequence[str]] = []
        for outcome in outcomes:
            cells = staged.rows[outcome.item - chunk.first_item].cells
            if any(map(str.strip, cells[len(parameters.header) :])):
                # Extra cells stay visible in the last column, where they do not shift the report's own columns.
                last = kept[-1]
                cells = [*cells[:last], parameters.delimiter.join(cells[last:])]
            reported.append([cells[place] if place < len(cells) else "" for place in kept])
        return reported


async def _prepare_roll(
    connection: AsyncConnection,
    operation: Operation,
    work: ParsedRows,
    named: Sequence[Learner],
    cause: Cause,
) -> Roll:
    return Roll(
        named,
        cause,
        creates=_parameters_of(operation).create,
        is_dry_run=operation.changes_nothing,
        protected=await _find_protected(connection, operation, named),
        learner_lines=await repository.find_lines(
            connection, operation, KeyKind.LEARNER, [learner.id for learner in named]
        ),
        name_lines=await _find_name_lines(connection, operation, work),
    )


async def _find_name_lines(
    connection: AsyncConnection, operation: Operation, parsed: ParsedRows
) -> dict[str, int]:
    if not await repository.has_names(connection, operation):
        return {}
    keys = {key for row in parsed.rows for key in name_keys(row.content)}
    if operation.changes_nothing:
        keys |= {key for row in parsed.rows for key in moved_name_keys(row.content)}
    return await repository.find_lines(connection, operation, KeyKind.NAME, keys)


def _looks_for_missing(operation: Operation) -> bool:
    return operation.is_rehearsal and _parameters_of(operation).missing == guards.Missing.DEACTIVATE


async def _store_lines(
    connection: AsyncConnection, operation: Operation, named: Sequence[Learner], roll: Roll
) -> None:
    """Store the lines of the chunk's learners and names, and which learners it only mentions, for later chunks."""
    await repository.store_lines(connection, operation, KeyKind.LEARNER, roll.new_learner_lines)
    await repository.store_lines(connection, operation, KeyKind.NAME, roll.new_name_lines)
    if _parameters_of(operation).missing != guards.Missing.DEACTIVATE:
        return
    # A learner that a row of another learner names is not missing.
    others = [learner.id for learner in named if learner.id not in roll.learner_lines]
    mentioned = await repository.find_lines(connection, operation, KeyKind.MENTION, others)
    lines = dict.fromkeys(set(others) - mentioned.keys(), 0)
    await repository.store_lines(connection, operation, KeyKind.MENTION, lines)


async def _deactivate_missing(
    connection: AsyncConnection, operation: Operation, chunk: Chunk, missing: MissingLearners, cause: Cause
) -> Tally:
    organization_id, ids = operation.organization_id, missing.ids
    if operation.is_rehearsal:
        return Tally(rehearsal=Rehearsal(missing=len(ids)))
    await bulk_sql.lock_many(connection, organization_id, ids)
    # Since the learner was found missing, a call may have given them a name that the file lists.
    named = await repository.find_named(connection, operation, ids)
    decided = bulk_sql.select_decisions(
        Action.DEACTIVATE, organization_id, ids, cause, connection.dialect.name
    )
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
        await bulk_sql.apply_action(connection, Action.DEACTIVATE, organization_id, wanted, cause)
    await operations.insert_outcomes(connection, operation, outcomes)
    return count_outcomes(outcomes)


def _missing_cells(
    parameters: CsvImportParameters, chunk: Chunk, missing: MissingLearners, outcomes: Sequence[Outcome]
) -> list[Sequence[str]]:
    """Return a row for each missing learner. It has only the learner's keys, so importing it changes nothing."""
    username_place = parameters.columns.get("username")
    external_id_place = parameters.columns.get("external_id")
    kept = _kept_places(parameters)
    reported: list[Sequence[str]] = []
    for outcome in outcomes:
        external_id = missing.external_ids[outcome.item - chunk.first_item]
        keys = {username_place: outcome.username, external_id_place: external_id}
        reported.append([keys.get(place) or "" for place in kept])
    return reported


def _kept_places(parameters: CsvImportParameters) -> list[int]:
    return [place for place, name in enumerate(parameters.header) if not is_report_column(name)]


def _parameters_of(operation: Operation) -> CsvImportParameters:
    if not isinstance(operation.parameters, CsvImportParameters):
        raise TypeError(f"{operation.id} is not an import")
    return operation.parameters


async def _find_protected(
    connection: AsyncConnection, operation: Operation, named: Sequence[Learner]
) -> frozenset[str]:
    """Return the ids of learners that a person deactivated: by a single call or a bulk action, not by an import."""
    if not _parameters_of(operation).protect_manual:
        return frozenset()
    deactivated = [learner.id for learner in named if learner.account.deactivated_at is not None]
    by_operation = await learners.find_last_deactivations(connection, operation.organization_id, deactivated)
    kinds = await operations.find_kinds(
        connection, {each for each in by_operation.values() if each is not None}
    )
    return frozenset(
        learner_id
        for learner_id, operation_id in by_operation.items()
        if operation_id is None or kinds.get(operation_id) is not Kind.CSV_IMPORT
    )


def _split_changes(decisions: Sequence[Decision]) -> list[list[Change]]:
    return list(split_where_keys_move(each.change for each in decisions if each.change is not None))


def _list_outcomes(
    first_item: int, decisions: Sequence[Decision], operation: Operation, known: Collection[str]
) -> list[Outcome]:
    outcomes = []
    for item, decision in enumerate(decisions, first_item):
        # A learner that a dry run would create does not exist.
        is_shown = not operation.changes_nothing or decision.learner_id in known
        outcomes.append(
            Outcome(
                item,
                decision.outcome,
                decision.learner_id if is_shown else None,
                decision.username,
                decision.line,
                None if decision.reason is None else describe_row(decision.reason),
                decision.change is not None and decision.change.deactivates,
            )
        )
    return outcomes
