"""Bulk actions: stage the selected learners in chunks, and say what is asked for each."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import Expired
from app.domain.status import Status
from app.learners.learner import username_key
from app.learners.plan import Effect, Fields, OutcomeName, PlanRow, Reason, Rules, Unexplained
from app.learners.repository import find_ids_by_external_id, find_ids_by_username, select_ids
from app.operations import service
from app.operations.errors import SelectionChanged, UnknownLearner
from app.operations.handler import LearnerColumns, WithoutGuards
from app.operations.operation import Chunk, Kind, Operation
from app.operations.parameters import BulkActionParameters
from app.operations.problems import describe_reason
from app.operations.runner import Runner
from app.operations.schemas import Action, BulkActionRequest, Selection
from app.operations.service import Asker, Order


class SelectedLearners(NamedTuple):
    """A chunk of a bulk action: ids that were selected, and selected names that no learner has."""

    ids: Sequence[str]
    unknown_usernames: Sequence[str] = ()
    unknown_external_ids: Sequence[str] = ()

    @classmethod
    def decode(cls, content: bytes) -> "SelectedLearners":
        """Read what `encode` has made."""
        document = orjson.loads(content or b"{}")
        return cls(
            document.get("ids", ()), document.get("unknown", ()), document.get("unknown_external_ids", ())
        )

    def encode(self) -> bytes:
        """Return the content of the chunk."""
        return orjson.dumps(
            {
                "ids": self.ids,
                "unknown": self.unknown_usernames,
                "unknown_external_ids": self.unknown_external_ids,
            }
        )

    @property
    def learner_count(self) -> int:
        """How many learners were selected."""
        return sum(map(len, self))


async def submit_bulk_action(runner: Runner, asker: Asker, wanted: BulkActionRequest) -> Operation:
    """Begin a bulk action. Raises SelectionChanged."""
    request: dict[str, Any] = {"selection": _describe_selection(wanted.selection)}
    if wanted.action is Action.SET_EXPIRATION:
        request["expires_on"] = wanted.expires_on
    order = Order(
        kind=Kind.BULK_ACTION,
        request=request,
        parameters=BulkActionParameters(wanted.expires_on),
        dry_run=wanted.dry_run,
        action=wanted.action.value,
        reason=wanted.reason,
        check_total=partial(_check_matched, wanted.expected_count),
    )
    return await service.submit(runner, asker, order, select_chunks(runner, asker, wanted.selection))


def _describe_selection(selection: Selection) -> dict[str, Any]:
    """Return the selection as the API shows it: a filter as it is, and the length of each list."""
    document = selection.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return {
        name if name == "filter" else f"{name}_count": value if name == "filter" else len(value)
        for name, value in document.items()
    }


def _check_matched(expected: int | None, matched: int) -> None:
    if expected is not None and expected != matched:
        raise SelectionChanged(expected, matched)


async def select_chunks(runner: Runner, asker: Asker, selection: Selection) -> AsyncGenerator[Chunk]:
    """Yield the selected learners, each once, as chunks; later changes do not change the selection."""
    number = first_item = 0
    async with aclosing(_select_batches(runner, asker, selection)) as batches:
        async for batch in batches:
            yield Chunk(number, first_item, batch.learner_count, batch.encode())
            number, first_item = number + 1, first_item + batch.learner_count


async def _select_batches(
    runner: Runner, asker: Asker, selection: Selection
) -> AsyncGenerator[SelectedLearners]:
    excepted, chunk_rows = set(selection.except_ids), runner.limits.chunk_rows
    if selection.filter is None:
        found = await _find_listed(runner, asker, selection)
        known = sorted(set(found.ids) - excepted)
        names = [
            *((name, 1) for name in found.unknown_usernames),
            *((name, 2) for name in found.unknown_external_ids),
        ]
        everything = [*((learner_id, 0) for learner_id in known), *names]
        for start in range(0, len(everything), chunk_rows):
            batch = everything[start : start + chunk_rows]
            yield SelectedLearners(*([value for value, kind in batch if kind == place] for place in range(3)))
        return
    today = asker.organization.today(asker.now)
    async with runner.selecting, runner.database.snapshot() as connection:
        dialect = connection.dialect.name
        query = select_ids(asker.organization.id, selection.filter, today, dialect)
        options = {"yield_per": chunk_rows}
        async with connection.stream_scalars(query, execution_options=options) as result:
            pending: list[str] = []
            async for part in result.partitions():
                pending += (learner_id for learner_id in part if learner_id not in excepted)
                if len(pending) >= chunk_rows:
                    yield SelectedLearners(pending[:chunk_rows])
                    del pending[:chunk_rows]
            if pending:
                yield SelectedLearners(pending)


async def _find_listed(runner: Runner, asker: Asker, selection: Selection) -> SelectedLearners:
    """Find the learners of a list of ids, usernames or external ids, and the names that no learner has."""
    if selection.ids is not None:
        return SelectedLearners(selection.ids)
    organization_id = asker.organization.id
    async with runner.database.read() as connection:
        if selection.usernames is not None:
            by_key = {username_key(username): username for username in reversed(selection.usernames)}
            ids = await find_ids_by_username(connection, organization_id, by_key)
            unknown = [by_key[key] for key in sorted(by_key.keys() - ids.keys())]
            return SelectedLearners(list(ids.values()), unknown_usernames=unknown)
        wanted = set(selection.external_ids or ())
        ids = await find_ids_by_external_id(connection, organization_id, wanted)
        return SelectedLearners(list(ids.values()), unknown_external_ids=sorted(wanted - ids.keys()))


@dataclass(frozen=True, slots=True)
class BulkActionHandler(WithoutGuards, LearnerColumns):
    """Activates, deactivates or dates the learners of a chunk."""

    conflict_outcome: OutcomeName = OutcomeName.INVALID

    def rules(self, _operation: Operation) -> Rules:
        """See Handler.rules."""
        return Rules()

    async def read_rows(
        self, _connection: AsyncConnection, operation: Operation, chunk: Chunk
    ) -> Sequence[PlanRow]:
        """See Handler.read_rows."""
        selected = SelectedLearners.decode(chunk.content)
        first, asked = chunk.first_item, _asked_of(operation)
        rows = [asked._replace(item=item, learner_id=each) for item, each in enumerate(selected.ids, first)]
        names: list[tuple[str | None, str | None]] = [(name, None) for name in selected.unknown_usernames]
        names += [(None, name) for name in selected.unknown_external_ids]
        # They stay unknown, even if such a learner has been created meanwhile.
        rows += (
            PlanRow(
                item,
                username=username,
                external_id=external_id,
                outcome=OutcomeName.NOT_FOUND.value,
                problems=[describe_reason(UnknownLearner())],
            )
            for item, (username, external_id) in enumerate(names, first + len(rows))
        )
        return rows

    def explain(self, _operation: Operation, row: Unexplained) -> Sequence[Mapping[str, Any]]:
        """See Handler.explain."""
        if row.reason is Reason.EXPIRED and row.expires_on is not None:
            return [describe_reason(Expired(row.expires_on, Status(str(row.restores_to))))]
        return [describe_reason(UnknownLearner())]


def _asked_of(operation: Operation) -> PlanRow:
    action = Action(str(operation.action))
    if action is Action.SET_EXPIRATION:
        if not isinstance(operation.parameters, BulkActionParameters):
            raise TypeError(f"{operation.id} is not a bulk action")
        return PlanRow(0, expires_on=operation.parameters.expires_on, fields=int(Fields.EXPIRES_ON))
    is_active = action is Action.ACTIVATE
    return PlanRow(0, active=is_active, effects=0 if is_active else int(Effect.ASKS_TO_DEACTIVATE))
