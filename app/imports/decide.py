"""What one row of a roster does to one learner, by the rules. Pure: no database, no clock.

Rows are decided in the order of the file, and each sees what the rows before it have done.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from app.domain.errors import Expired
from app.domain.status import Account
from app.domain.transitions import Refused
from app.imports import problems
from app.imports.rows import RowProblem
from app.learners.decide import Unchanged, decide_change, decide_creation
from app.learners.learner import Cause, Change, Learner, username_key
from app.learners.problems import expired_problem
from app.learners.unique_keys import unique_keys
from app.learners.wish import Wish
from app.operations.operation import OutcomeName
from app.platform.ids import new_id
from app.platform.problems import CATALOGUE, NOT_FOUND, Problem

_NOT_FOUND = Problem(NOT_FOUND, "There is no such learner, and the import creates none.").document()


class Decision(NamedTuple):
    """What becomes of one row; `change` is what there is to store, if anything."""

    line: int
    outcome: OutcomeName
    username: str | None
    learner_id: str | None = None
    change: Change | None = None
    problem: Mapping[str, Any] | None = None


def name_keys(row: Wish | RowProblem) -> Iterator[str]:
    """Keys, in the form of ids, that stand for the username and the external id of a row."""
    for kind, value in _names(row):
        yield _name_key(kind, value)


def moved_name_keys(row: Wish | RowProblem) -> Iterator[str]:
    """Keys that stand for names of a row that a dry run, in earlier chunks, would have taken or given up."""
    for kind, value in _names(row):
        yield _name_key(f"{kind} taken", value)
        yield _name_key(f"{kind} given up", value)


def _names(row: Wish | RowProblem) -> Iterator[tuple[str, str]]:
    if row.username is not None:
        yield "username", username_key(row.username)
    if row.external_id is not None:
        yield "external-id", row.external_id


def _name_key(kind: str, value: str) -> str:
    digest = hashlib.blake2b(f"{kind}\n{value}".encode(), digest_size=16).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


@dataclass(slots=True)
class Roll:
    """The learners that a chunk's rows name, as the rows before have left them, and the lines they had."""

    learners: Iterable[Learner]
    cause: Cause
    creates: bool
    is_dry_run: bool
    # Ids that were deactivated by a person, and are to stay so.
    protected: Collection[str] = ()
    # The line on which each learner (by id) and each name of nobody (by name key) came first, in earlier
    # chunks; and those that this chunk adds. A dry run stores no change, so it notes here too on which line
    # each name would have been taken or given up.
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

    def decide(self, line: int, row: Wish | RowProblem) -> Decision:
        """Decide one row; the roll then shows what it did."""
        named = titled = None
        if row.external_id is not None:
            named = self._find(self.by_external_id, "external-id", row.external_id)
        if row.username is not None:
            titled = self._find(self.by_username, "username", username_key(row.username))
        learner = named or titled
        first_line = self._first_line(learner, row)
        if first_line is not None:
            detail = f"This learner stands on line {first_line} already; the first row counts."
            return self._refuse(
                line,
                row,
                learner,
                Problem(problems.DUPLICATE_ROW, detail, members={"first_line": first_line}),
            )
        if isinstance(row, RowProblem) and row.code == problems.DUPLICATE_ROW.code:
            # Not remembered: of several such rows, somebody may have freed a later one to be applied.
            return self._decide(line, row, learner)
        if named is not None and titled is not None and named.id != titled.id:
            detail = f"External ID {row.external_id!r} and Username {row.username!r} belong to two learners."
            return self._refuse(line, row, None, Problem(problems.IDENTITY_CONFLICT, detail))
        decision = self._decide(line, row, learner)
        self._remember(line, row, decision)
        return decision

    def _find(self, holders: Mapping[str, Learner], kind: str, value: str) -> Learner | None:
        """Who has this name; in a dry run also a stand-in for whoever would have taken it in an earlier chunk."""
        learner = holders.get(value)
        if learner is not None or not self.is_dry_run:
            return learner
        line = self.name_lines.get(_name_key(f"{kind} taken", value))
        if line is None:
            return None
        taker = Learner(f"line {line}", "", Account(), self.cause.at)
        self.learner_lines[taker.id] = line
        return taker

    def _first_line(self, learner: Learner | None, row: Wish | RowProblem) -> int | None:
        if learner is not None:
            return self.learner_lines.get(learner.id)
        if not self.name_lines:
            return None
        return next((self.name_lines[key] for key in name_keys(row) if key in self.name_lines), None)

    def _remember(self, line: int, row: Wish | RowProblem, decision: Decision) -> None:
        learner_id = decision.learner_id
        if learner_id is not None:
            self.learner_lines[learner_id] = self.new_learner_lines[learner_id] = line
        else:
            # Nobody in the database has these names, so the next chunk must be told.
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

    def _decide(self, line: int, row: Wish | RowProblem, learner: Learner | None) -> Decision:
        if isinstance(row, RowProblem):
            members = {} if row.column is None else {"column": row.column}
            return self._refuse(line, row, learner, Problem(CATALOGUE[row.code], row.detail, members=members))
        if learner is None:
            return self._create(line, row)
        if row.is_active and learner.id in self.protected and learner.account.deactivated_at is not None:
            detail = "A person deactivated this learner, and the import protects that."
            problem = Problem(problems.DEACTIVATED_BY_HAND, detail, members={"column": "Active"})
            return self._refuse(line, row, learner, problem, OutcomeName.REFUSED)
        decided = decide_change(learner, row, self.cause)
        if isinstance(decided, Refused):
            problem = _expired(decided.reason, "expired")
            return self._refuse(line, row, learner, problem, OutcomeName.REFUSED)
        if isinstance(decided, Unchanged):
            return Decision(line, OutcomeName.UNCHANGED, learner.username, learner.id)
        return Decision(line, OutcomeName.CHANGED, decided.after.username, learner.id, decided)

    def _create(self, line: int, row: Wish) -> Decision:
        if not self.creates:
            return Decision(line, OutcomeName.NOT_FOUND, row.username, problem=_NOT_FOUND)
        if row.username is None:
            detail = f"No learner has the External ID {row.external_id!r}, and a new one needs a Username."
            return self._refuse(line, row, None, Problem(problems.MISSING_USERNAME, detail))
        decided = decide_creation(new_id(self.cause.at), row, self.cause)
        if isinstance(decided, Refused):
            problem = _expired(decided.reason, "would have expired")
            return self._refuse(line, row, None, problem, OutcomeName.REFUSED)
        return Decision(line, OutcomeName.CREATED, row.username, decided.after.id, decided)

    def _refuse(
        self,
        line: int,
        row: Wish | RowProblem,
        learner: Learner | None,
        problem: Problem,
        outcome: OutcomeName = OutcomeName.INVALID,
    ) -> Decision:
        learner_id, username = (None, row.username)
        if learner is not None:
            learner_id, username = learner.id, learner.username or row.username
        return Decision(line, outcome, username, learner_id, problem=problem.document())


def _expired(reason: Expired, what: str) -> Problem:
    # In the words of a file, which has no `expires_on`.
    detail = (
        f"The account {what} after {reason.expires_on.isoformat()}. To activate it, put today or a later day, or the "
        "word never, into Expiration Date."
    )
    problem = expired_problem(reason)
    return replace(problem, detail=detail, members={**problem.members, "column": "Active"})
