"""What keeps an import from deactivating more learners than anybody meant. Pure: it counts, and it judges.

An import that is guarded is rehearsed: all its rows are decided, and what is counted here is judged, before
anything is changed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from app.imports import problems
from app.imports.decide import Decision
from app.organizations.organization import count_allowed
from app.platform.problems import Problem, illustrate

# What a rehearsal counts.
BY_ROW = "deactivated_by_row"
MISSING = "missing"
UNTOLD = "untold"
FIRST_UNTOLD_LINE = "first_untold_line"

# The problems of rows that break in what names their learner.
_KEY_PROBLEMS = frozenset(
    problem.code
    for problem in (
        problems.WRONG_NUMBER_OF_CELLS,
        problems.MISSING_KEY,
        problems.INVALID_USERNAME,
        problems.INVALID_EXTERNAL_ID,
    )
)


class Missing(StrEnum):
    """What becomes of learners whom no row of the file names."""

    KEEP = "keep"
    DEACTIVATE = "deactivate"


def count(decisions: Iterable[Decision], before: Mapping[str, int]) -> Counter[str]:
    """What these decisions of a rehearsal add to what it has counted `before`."""
    counted: Counter[str] = Counter()
    for decision in decisions:
        if decision.change is not None and decision.change.deactivates:
            counted[BY_ROW] += 1
        elif _is_untold(decision):
            counted[UNTOLD] += 1
            if FIRST_UNTOLD_LINE not in before and FIRST_UNTOLD_LINE not in counted:
                counted[FIRST_UNTOLD_LINE] = decision.line
    return counted


def _is_untold(decision: Decision) -> bool:
    """Whether the row is somebody's of whom nothing is known: they are not missing, whoever they are."""
    problem = decision.problem
    return problem is not None and decision.learner_id is None and problem["code"] in _KEY_PROBLEMS


def judge_completeness(counted: Mapping[str, int]) -> Problem | None:
    """Why nobody can be said to be missing, by what a rehearsal has counted."""
    untold = counted.get(UNTOLD, 0)
    if not untold:
        return None
    line = counted[FIRST_UNTOLD_LINE]
    rows = f"Line {line} does" if untold == 1 else f"{untold:,} rows, the first on line {line}, do"
    return Problem(
        problems.INCOMPLETE_FEED,
        f"{rows} not tell whose row it is, so nobody can be said to be missing; nothing was done. Mend the file, "
        "or import it with missing=keep.",
        members={"line": line, "row_count": untold},
    )


def judge_deactivations(
    counted: Mapping[str, int], max_deactivations: str, not_deactivated: int
) -> Problem | None:
    """Why so many may not be deactivated, where `not_deactivated` learners of the organization are not yet."""
    by_row, missing = counted.get(BY_ROW, 0), counted.get(MISSING, 0)
    wanted, allowed = by_row + missing, count_allowed(max_deactivations, not_deactivated)
    if wanted <= allowed:
        return None
    limit = ""
    if max_deactivations.endswith("%"):
        limit = f" ({max_deactivations} of the {not_deactivated:,} who are not deactivated)"
    return Problem(
        problems.TOO_MANY_DEACTIVATIONS,
        f"{wanted:,} learners would be deactivated, {by_row:,} by their rows and {missing:,} for want of a row, "
        f"but at most {allowed:,} may be{limit}; nothing was done. If this is meant, send the file again with "
        f"max_deactivations={wanted}.",
        members={
            "deactivation_count": wanted,
            "allowed_count": allowed,
            "max_deactivations": max_deactivations,
        },
    )


for _example in (
    judge_completeness({UNTOLD: 1, FIRST_UNTOLD_LINE: 17}),
    judge_deactivations({BY_ROW: 12, MISSING: 2328}, "20%", 9000),
):
    if _example is not None:
        illustrate(_example)
