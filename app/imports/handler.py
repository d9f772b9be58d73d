"""Says what the rows of an import ask for, judges its plan, and explains and reports its outcomes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import Expired
from app.domain.status import Status
from app.imports import guards
from app.imports.chunks import MissingLearners, decode_content
from app.imports.errors import (
    DeactivatedByOthers,
    DuplicateRow,
    ExpiredRow,
    IdentityConflict,
    InvalidCell,
    MissingKey,
    MissingUsername,
    NameTakenByRow,
    OtherExternalId,
    ReportedDuplicate,
    ReportedWrongNumber,
    RowReason,
    UnknownLearner,
    WrongNumberOfCells,
)
from app.imports.headers import is_report_column
from app.imports.json_reader import read_text
from app.imports.json_rows import compile_json_parser
from app.imports.problems import describe_guard, describe_row, warn_of_deactivations
from app.imports.rows import DateFormat, EmptyCells, InvalidRow, compile_parser
from app.learners import plan_repository
from app.learners import repository as learners
from app.learners.fields import EXPIRATION_DATE, ROSTER_COLUMNS
from app.learners.learner import username_key
from app.learners.plan import Effect, OutcomeName, PlanRow, Reason, Rules, Unexplained, row_of_wish
from app.learners.plan_conditions import Scope
from app.learners.plan_repository import Verdict
from app.learners.wish import Wish
from app.operations import repository as operations
from app.operations.handler import Judgement, ReportFormat
from app.operations.operation import Chunk, Operation, Outcome, Phase
from app.operations.parameters import CsvImportParameters, ImportParameters
from app.organizations.organization import Organization
from app.platform.threads import compute
from app.platform.wording import replace_surrogates

# The fields that say which learner a row is about.
_KEYS = ("username", "external_id")
_Parse = Callable[[Any], Wish | InvalidRow]


@dataclass(frozen=True, slots=True)
class ImportHandler(ABC):
    """Carries out imports of any format."""

    conflict_outcome: OutcomeName = OutcomeName.INVALID

    def rules(self, operation: Operation) -> Rules:
        """See Handler.rules."""
        parameters = _parameters_of(operation)
        return Rules(create=parameters.create, rekey=parameters.rekey, finds_by_names=True)

    async def read_rows(
        self, _connection: AsyncConnection, operation: Operation, chunk: Chunk
    ) -> Sequence[PlanRow]:
        """Parse the rows, or return the missing learners."""
        if not chunk.items:
            return []
        parse = self._compile(operation)
        return await compute(chunk.items, lambda: _parse_chunk(chunk, parse))

    @abstractmethod
    def _compile(self, operation: Operation) -> _Parse:
        """Return the function that parses a row as it was sent."""

    async def refine(self, connection: AsyncConnection, operation: Operation, scope: Scope) -> None:
        """Refuse rows that would undo the deactivations of others, and keep missing learners that were renamed."""
        if _parameters_of(operation).protect_manual:
            await _protect_deactivated(connection, operation, scope)
        if operation.phase is Phase.APPLY:
            await _keep_renamed(connection, operation, scope)

    async def find_missing(
        self, connection: AsyncConnection, operation: Operation, limit: int
    ) -> Chunk | None:
        """Return the next missing learners, if they are to be deactivated and the file is complete."""
        parameters = _parameters_of(operation)
        if parameters.missing != guards.Missing.DEACTIVATE:
            return None
        last_chunk = await _read_last_chunk(connection, operation)
        after = last_chunk.ids[-1] if isinstance(last_chunk, MissingLearners) else None
        # The rows of the file stay as they are while missing learners are added, so the first look at them is enough.
        if after is None and await guards.judge_completeness(connection, operation, parameters):
            return None
        found = await _list_missing(connection, operation, parameters, after, limit)
        if not found:
            return None
        return Chunk(operation.chunks, operation.total, len(found), MissingLearners(found).encode())

    async def judge(
        self, connection: AsyncConnection, operation: Operation, organization: Organization
    ) -> Judgement:
        """Judge the complete plan, and warn about learners who keep access although their rows say No."""
        parameters = _parameters_of(operation)
        obstacle = await guards.find_obstacle(connection, operation, parameters, organization)
        not_applied = await plan_repository.count_with(
            connection, operation.number, Effect.ASKS_TO_DEACTIVATE, rejected=True
        )
        warnings = (
            [warn_of_deactivations(not_applied.rows, not_applied.first_line)] if not_applied.rows else []
        )
        return Judgement(None if obstacle is None else describe_guard(obstacle), warnings)

    def explain(self, _operation: Operation, row: Unexplained) -> Sequence[Mapping[str, Any]]:
        """See Handler.explain."""
        return [describe_row(_reason_of(row))]


@dataclass(frozen=True, slots=True)
class CsvImportHandler(ImportHandler):
    """Carries out imports of CSV files."""

    def _compile(self, operation: Operation) -> _Parse:
        parameters = _csv_of(operation)
        return compile_parser(
            parameters.header,
            parameters.columns,
            DateFormat(parameters.date_format),
            EmptyCells(parameters.empty),
            has_whole_ids=parameters.has_whole_ids,
        )

    def report_format(self, operation: Operation) -> ReportFormat:
        """Return the header as it was sent, without the columns of an earlier report."""
        parameters = _csv_of(operation)
        header = [name for name in parameters.header if not is_report_column(name)]
        # Without a mark Excel reads a file in its own old encoding. A file that came as UTF-8 without a mark gets none.
        has_mark = parameters.has_mark or parameters.encoding != "utf-8"
        return ReportFormat(header, parameters.delimiter, has_mark)

    def report_cells(
        self, operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """Return the rows as they were sent, each with the header's number of cells."""
        parameters = _csv_of(operation)
        kept = [place for place, name in enumerate(parameters.header) if not is_report_column(name)]
        staged = decode_content(chunk.content)
        if isinstance(staged, MissingLearners):
            return _missing_cells(parameters, kept, outcomes)
        reported: list[Sequence[str]] = []
        for outcome in outcomes:
            cells = staged.rows[outcome.item - chunk.first_item][1]
            if any(map(str.strip, cells[len(parameters.header) :])):
                # Extra cells stay visible in the last column, where they do not shift the report's own columns.
                last = kept[-1]
                cells = [*cells[:last], parameters.delimiter.join(cells[last:])]
            reported.append([cells[place] if place < len(cells) else "" for place in kept])
        return reported


@dataclass(frozen=True, slots=True)
class JsonImportHandler(ImportHandler):
    """Carries out imports of JSON."""

    def _compile(self, _operation: Operation) -> _Parse:
        parse = compile_json_parser()
        return lambda text: parse(read_text(text))

    def report_format(self, _operation: Operation) -> ReportFormat:
        """Return the columns of a roster, so that the report can be mended and sent as CSV."""
        return ReportFormat([column.title for column in ROSTER_COLUMNS])

    def report_cells(
        self, _operation: Operation, chunk: Chunk, outcomes: Sequence[Outcome]
    ) -> list[Sequence[str]]:
        """Return the values of each row, as far as it is an object with members that an import knows."""
        staged = decode_content(chunk.content)
        if isinstance(staged, MissingLearners):
            return [
                [getattr(outcome, name) or "" if name in _KEYS else "" for name in _COLUMN_NAMES]
                for outcome in outcomes
            ]
        return [_cells_of(staged.rows[outcome.item - chunk.first_item][1]) for outcome in outcomes]


_COLUMN_NAMES = [column.name for column in ROSTER_COLUMNS]
# The member of a JSON row for each column whose name is another.
_MEMBERS = {EXPIRATION_DATE.name: "expires_on"}
_YES_OR_NO = {True: "Yes", False: "No"}


def _cells_of(row: str) -> list[str]:
    value = read_text(row)
    members = dict(value) if isinstance(value, tuple) else {}
    cells = []
    for name in _COLUMN_NAMES:
        sent = members.get(_MEMBERS.get(name, name), "")
        if name == EXPIRATION_DATE.name and sent is None:
            sent = "never"
        text = _YES_OR_NO[sent] if isinstance(sent, bool) else sent if isinstance(sent, str) else ""
        cells.append(replace_surrogates(text))
    return cells


def _missing_cells(
    parameters: CsvImportParameters, kept: Sequence[int], outcomes: Sequence[Outcome]
) -> list[Sequence[str]]:
    """Return a row for each missing learner. It has only the learner's keys, so importing it changes nothing."""
    places = {parameters.columns.get(name): name for name in _KEYS}
    return [
        [getattr(outcome, places[place]) or "" if place in places else "" for place in kept]
        for outcome in outcomes
    ]


def _parse_chunk(chunk: Chunk, parse: _Parse) -> list[PlanRow]:
    staged = decode_content(chunk.content)
    if isinstance(staged, MissingLearners):
        asked = PlanRow(0, active=False, effects=int(Effect.ASKS_TO_DEACTIVATE))
        return [
            asked._replace(item=item, learner_id=each)
            for item, each in enumerate(staged.ids, chunk.first_item)
        ]
    rows = []
    for item, (line, content) in enumerate(staged.rows, chunk.first_item):
        wish = parse(content)
        if isinstance(wish, InvalidRow):
            rows.append(_row_of_invalid(item, line, wish))
        else:
            rows.append(row_of_wish(item, line, wish))
    return rows


def _row_of_invalid(item: int, line: int, row: InvalidRow) -> PlanRow:
    effects = Effect.ASKS_TO_DEACTIVATE if row.asks_to_deactivate else Effect(0)
    if any(map(_hides_learner, row.reasons)):
        effects |= Effect.UNIDENTIFIED
    if any(isinstance(reason, ReportedDuplicate) for reason in row.reasons):
        # A later row of the same learner may have been corrected, and is applied then.
        effects |= Effect.SET_ASIDE
    return PlanRow(
        item,
        line,
        username=row.username,
        username_key=None if row.username is None else username_key(row.username),
        external_id=row.external_id,
        effects=int(effects),
        outcome=OutcomeName.INVALID.value,
        problems=[describe_row(reason) for reason in row.reasons],
    )


def _hides_learner(reason: RowReason) -> bool:
    """Return whether the row could be about any learner. Then no learner can be called missing."""
    if isinstance(reason, InvalidCell):
        return reason.field in _KEYS
    return isinstance(reason, WrongNumberOfCells | ReportedWrongNumber | MissingKey)


def _reason_of(row: Unexplained) -> RowReason:
    match row.reason:
        case Reason.EXPIRED if row.expires_on is not None:
            return ExpiredRow(Expired(row.expires_on, Status(str(row.restores_to))), is_new=row.is_new)
        case Reason.DUPLICATE:
            return DuplicateRow(row.first_line or 0)
        case Reason.TWO_LEARNERS:
            return IdentityConflict(row.external_id, row.username)
        case Reason.OTHER_EXTERNAL_ID:
            return OtherExternalId(str(row.username), row.external_id)
        case Reason.USERNAME_TAKEN:
            return NameTakenByRow("Username", str(row.username), row.first_line or 0)
        case Reason.EXTERNAL_ID_TAKEN:
            return NameTakenByRow("External ID", str(row.external_id), row.first_line or 0)
        case Reason.NO_USERNAME:
            return MissingUsername(row.external_id)
        case Reason.DEACTIVATED_BY_OTHERS:
            return DeactivatedByOthers()
        case _:
            return UnknownLearner()


def _parameters_of(operation: Operation) -> ImportParameters:
    if not isinstance(operation.parameters, ImportParameters):
        raise TypeError(f"{operation.id} is not an import")
    return operation.parameters


def _csv_of(operation: Operation) -> CsvImportParameters:
    if not isinstance(operation.parameters, CsvImportParameters):
        raise TypeError(f"{operation.id} is not a CSV import")
    return operation.parameters


async def _read_last_chunk(connection: AsyncConnection, operation: Operation) -> object:
    """Return the content of the last chunk of the plan so far."""
    chunk = await operations.get_chunk(connection, operation.id, operation.chunks - 1)
    return decode_content(chunk.content)


async def _list_missing(
    connection: AsyncConnection,
    operation: Operation,
    parameters: ImportParameters,
    after: str | None,
    limit: int,
) -> list[str]:
    """List the next missing learners who existed when the import was sent, by event positions: clocks can differ."""
    while True:
        found = await plan_repository.list_missing(
            connection, operation.organization_id, operation.number, after=after, limit=limit
        )
        newer = await learners.find_created_after(connection, parameters.created_until, found)
        older = [learner_id for learner_id in found if learner_id not in newer]
        if older or not found:
            return older
        after = found[-1]


async def _protect_deactivated(connection: AsyncConnection, operation: Operation, scope: Scope) -> None:
    """Refuse to activate learners whose last deactivation was made by anyone but this import's own key."""
    activated = await plan_repository.list_with(connection, scope, Effect.ACTIVATED)
    actors = await learners.find_last_deactivations(
        connection, operation.organization_id, [each.learner_id for each in activated]
    )
    own = operation.created_by
    verdicts = [
        Verdict(each.item, OutcomeName.REFUSED, Reason.DEACTIVATED_BY_OTHERS)
        for each in activated
        if each.learner_id not in actors
        or any(actors[each.learner_id].get(member) != own.get(member) for member in ("kind", "id"))
    ]
    await plan_repository.reject(connection, operation.number, verdicts)


async def _keep_renamed(connection: AsyncConnection, operation: Operation, scope: Scope) -> None:
    """Keep missing learners whose names have changed since the plan was made: the file may list the new names."""
    missing = [
        each
        for each in await plan_repository.list_with(connection, scope, Effect.DEACTIVATED)
        if each.line is None
    ]
    renamed = await learners.find_renamed_since(
        connection, operation.organization_id, [each.learner_id for each in missing], operation.started_at
    )
    verdicts = [Verdict(each.item, OutcomeName.UNCHANGED) for each in missing if each.learner_id in renamed]
    await plan_repository.reject(connection, operation.number, verdicts)
