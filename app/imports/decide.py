"""Decides what one row of a roster changes, by the rules. Pure: no database, no clock.

Rows are decided in the order of the file. Each row sees the learners as the rows before it have left them.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from app.domain.status import Account
from app.domain.transitions import Refused
from app.imports.errors import (
    DeactivatedByHand,
    DuplicateRow,
    ExpiredRow,
    IdentityConflict,
    MissingUsername,
    ReportedDuplicate,
    RowReason,
    UnknownLearner,
)
from app.imports.rows import InvalidRow
from app.learners.decide import Unchanged, decide_change, decide_creation
from app.learners.learner import Cause, Change, Learner, username_key
from app.learners.unique_keys import unique_keys
from app.learners.wish import Wish
from app.operations.operation import OutcomeName
from app.platform.ids import new_id


class Decision(NamedTuple):
    """The outcome of one row; `change` is what there is to store, if anything."""

    line: int
    outcome: OutcomeName
    username: str | None
    learner_id: str | None = None
    change: Change | None = None
    # Why the row was not applied: all the reasons, or none if it was applied.
    reasons: tuple[RowReason, ...] = ()

    @property
    def reason(self) -> RowReason | None:
        """The first reason, if any."""
        return self.reasons[0] if self.reasons else None


def name_keys(row: Wish | InvalidRow) -> Iterator[str]:
    """Yield keys, in the form of ids, that stand for the username and the external id of a row."""
    for kind, value in _names(row):
        yield _name_key(kind, value)


def moved_name_keys(row: Wish | InvalidRow) -> Iterator[str]:
    """Yield the keys that tell whether earlier rows of a dry run took or gave up a name of this row."""
    for kind, value in _names(row):
        yield _name_key(f"{kind} taken", value)
        yield _name_key(f"{kind} given up", value)


def _names(row: Wish | InvalidRow) -> Iterator[tuple[str, str]]:
    if row.username is not None:
        yield "username", username_key(row.username)
    if row.external_id is not None:
        yield "external-id", row.external_id


def _name_key(kind: str, value: str) -> str:
    digest = hashlib.blake2b(f"{kind}\n{value}".encode(), digest_size=16).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


@dataclass(slots=True)
class Roll:
    """The learners that a chunk's rows name, as earlier rows have left them, and the lines of their rows."""

    learners: Iterable[Learner]
    cause: Cause
    creates: bool
    is_dry_run: bool
    # Ids of learners that a person deactivated and that must stay deactivated.
    protected: Collection[str] = ()
    # The first line of each learner (by id) and of each unknown name (by name key) in earlier chunks, and those that
    # this chunk adds. A dry run stores no change, so the line on which a name would be taken or given up is kept too.
    learner_lines: dict[str, int] = field(default_factory=dict)
    name_lines: dict[str, int] = field(default_factory=dict)
    new_learner_lines: dict[str, int] = field(default_factory=dict)
    new_name_lines: dict[str, int] = field(default_factory=dict)
    by_username: dict[str, Learner] = field(init=False)
    by_external_id: dict[str, Learner] = field(init=False)

    def __post_init__(self) -> None:
        """Index the learners by both keys."""
        self.by_username = {username_key(learner.username): learner for learner in self.learners}
        self.by_external_id = {
            learner.external_id: learner for learner in self.learners if learner.external_id is not None
        }
        if self.is_dry_run and self.name_lines:
            for kind, holders in (("username", self.by_username), ("external-id", self.by_external_id)):
                for value in list(holders):
                    if _name_key(f"{kind} given up", value) in self.name_lines:
                        del holders[value]

    def decide(self, line: int, row: Wish | InvalidRow) -> Decision:
        """Decide one row, and update the learners for the rows after it."""
        named = titled = None
        if row.external_id is not None:
            named = self._find(self.by_external_id, "external-id", row.external_id)
        if row.username is not None:
            titled = self._find(self.by_username, "username", username_key(row.username))
        learner = named or titled
        first_line = self._find_first_line(learner, row)
        if first_line is not None:
            return self._refuse(line, row, learner, DuplicateRow(first_line))
        if isinstance(row, InvalidRow) and isinstance(row.reasons[0], ReportedDuplicate):
            # Not remembered: a later row of the same learner may have been corrected, and is applied then.
            return self._decide(line, row, learner)
        if named is not None and titled is not None and named.id != titled.id:
            return self._refuse(line, row, None, IdentityConflict(row.external_id, row.username))
        decision = self._decide(line, row, learner)
        self._remember(line, row, decision)
        return decision

    def _find(self, holders: Mapping[str, Learner], kind: str, value: str) -> Learner | None:
        """Return the learner with this name. In a dry run, a stand-in may represent a learner of an earlier chunk."""
        learner = holders.get(value)
        if learner is not None or not self.is_dry_run:
            return learner
        line = self.name_lines.get(_name_key(f"{kind} taken", value))
        if line is None:
            return None
        taker = Learner(f"line {line}", "", Account(), self.cause.at)
        self.learner_lines[taker.id] = line
        return taker

    def _find_first_line(self, learner: Learner | None, row: Wish | InvalidRow) -> int | None:
        if learner is not None:
            return self.learner_lines.get(learner.id)
        if not self.name_lines:
            return None
        return next((self.name_lines[key] for key in name_keys(row) if key in self.name_lines), None)

    def _remember(self, line: int, row: Wish | InvalidRow, decision: Decision) -> None:
        learner_id = decision.learner_id
        if learner_id is not None:
            self.learner_lines[learner_id] = self.new_learner_lines[learner_id] = line
        else:
            # No learner in the database has these names, so the next chunk must know them.
            for key in name_keys(row):
                self.name_lines[key] = self.new_name_lines[key] = line
        if decision.change is not None:
            self._move_names(line, decision.change.before, decision.change.after)

    def _move_names(self, line: int, before: Learner | None, after: Learner) -> None:
        if self.is_dry_run:
            had, has = unique_keys(before), unique_keys(after)
            for kind, value in has - had:
                self.new_name_lines[_name_key(f"{kind} taken", value)] = line
            for kind, value in had - has:
                self.new_name_lines[_name_key(f"{kind} given up", value)] = line
        if before is not None:
            del self.by_username[username_key(before.username)]
            if before.external_id is not None:
                del self.by_external_id[before.external_id]
        self.by_username[username_key(after.username)] = after
        if after.external_id is not None:
            self.by_external_id[after.external_id] = after

    def _decide(self, line: int, row: Wish | InvalidRow, learner: Learner | None) -> Decision:
        if isinstance(row, InvalidRow):
            return self._refuse(line, row, learner, *row.reasons)
        if learner is None:
            return self._create(line, row)
        if row.is_active and learner.id in self.protected and learner.account.deactivated_at is not None:
            return self._refuse(line, row, learner, DeactivatedByHand(), outcome=OutcomeName.REFUSED)
        decided = decide_change(learner, row, self.cause)
        if isinstance(decided, Refused):
            reason = ExpiredRow(decided.reason, is_new=False)
            return self._refuse(line, row, learner, reason, outcome=OutcomeName.REFUSED)
        if isinstance(decided, Unchanged):
            return Decision(line, OutcomeName.UNCHANGED, learner.username, learner.id)
        return Decision(line, OutcomeName.CHANGED, decided.after.username, learner.id, decided)

    def _create(self, line: int, row: Wish) -> Decision:
        if not self.creates:
            return self._refuse(line, row, None, UnknownLearner(), outcome=OutcomeName.NOT_FOUND)
        if row.username is None:
            return self._refuse(line, row, None, MissingUsername(row.external_id))
        decided = decide_creation(new_id(self.cause.at), row, self.cause)
        if isinstance(decided, Refused):
            reason = ExpiredRow(decided.reason, is_new=True)
            return self._refuse(line, row, None, reason, outcome=OutcomeName.REFUSED)
        return Decision(line, OutcomeName.CREATED, row.username, decided.after.id, decided)

    def _refuse(
        self,
        line: int,
        row: Wish | InvalidRow,
        learner: Learner | None,
        *reasons: RowReason,
        outcome: OutcomeName = OutcomeName.INVALID,
    ) -> Decision:
        learner_id, username = (None, row.username)
        if learner is not None:
            learner_id, username = learner.id, learner.username or row.username
        return Decision(line, outcome, username, learner_id, reasons=reasons)
