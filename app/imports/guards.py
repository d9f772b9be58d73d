"""The guards of an import: checks that stop it before it deactivates more learners than intended. Pure.

An import with a guard is rehearsed: all its rows are decided, and what is counted here is judged before anything is
changed.
"""

from collections.abc import Iterable
from enum import StrEnum

from app.imports.decide import Decision
from app.imports.errors import (
    InvalidCell,
    MissingKey,
    ReportedWrongNumber,
    RowReason,
    TooManyDeactivations,
    UnidentifiedRows,
    WrongNumberOfCells,
)
from app.operations.operation import Rehearsal
from app.organizations.organization import count_allowed

# The fields that say which learner a row is about.
_KEYS = ("username", "external_id")


class Missing(StrEnum):
    """What to do with learners that the file does not list."""

    KEEP = "keep"
    DEACTIVATE = "deactivate"


def count(decisions: Iterable[Decision]) -> Rehearsal:
    """Count what these decisions of a rehearsal contribute to the judgement."""
    deactivated = unidentified = 0
    first_line: int | None = None
    for decision in decisions:
        if decision.change is not None and decision.change.deactivates:
            deactivated += 1
        elif _is_unidentified(decision):
            unidentified += 1
            first_line = decision.line if first_line is None else first_line
    return Rehearsal(
        deactivated_by_row=deactivated, unidentified_rows=unidentified, first_unidentified_line=first_line
    )


def _is_unidentified(decision: Decision) -> bool:
    """Return whether the row could be about any learner. Then no learner can be called missing."""
    if decision.learner_id is not None:
        return False
    return any(map(_hides_learner, decision.reasons))


def _hides_learner(reason: RowReason) -> bool:
    if isinstance(reason, InvalidCell):
        return reason.field in _KEYS
    return isinstance(reason, WrongNumberOfCells | ReportedWrongNumber | MissingKey)


def judge_completeness(rehearsal: Rehearsal) -> UnidentifiedRows | None:
    """Return why no learner can be called missing from the file, or None."""
    if rehearsal.first_unidentified_line is None:
        return None
    return UnidentifiedRows(rehearsal.first_unidentified_line, rehearsal.unidentified_rows)


def judge_deactivations(
    rehearsal: Rehearsal, max_deactivations: str, not_deactivated: int
) -> TooManyDeactivations | None:
    """Return why the import deactivates too many learners, or None if it does not.

    `not_deactivated` is how many of the organization's learners are not deactivated yet.
    """
    reason = TooManyDeactivations(
        rehearsal.deactivated_by_row,
        rehearsal.missing,
        count_allowed(max_deactivations, not_deactivated),
        max_deactivations,
        not_deactivated,
    )
    return reason if reason.total > reason.allowed else None
