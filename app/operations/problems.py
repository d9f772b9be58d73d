"""The problems of operations."""

from typing import Annotated

from pydantic import BaseModel, Field

from app.platform.problems import Problem, Translations, define_problem, illustrate


class SelectionMembers(BaseModel):
    """What `selection-changed` tells besides."""

    expected_count: Annotated[int, Field(description="How many learners were expected.")]
    matched_count: Annotated[int, Field(description="How many are selected now.")]


SELECTION_CHANGED = define_problem(
    "selection-changed",
    409,
    "The selection has changed",
    "`expected_count` learners were expected, `matched_count` are selected now, so nothing was done. Look again, "
    "then send the number that you see.",
    SelectionMembers,
)
OUTCOMES_REMOVED = define_problem(
    "outcomes-removed",
    410,
    "The outcomes are not kept any more",
    "Outcomes, and the rows as they were sent, are removed some weeks after the operation ended. Its counts stay, "
    "and so does the history of each learner.",
)
OPERATION_NOT_FOUND = "There is no such operation in your organization."


class SelectionChanged(Exception):
    """Another number of learners is selected than the person saw."""

    def __init__(self, expected: int, matched: int) -> None:
        super().__init__(f"{expected} expected, {matched} matched")
        self.expected = expected
        self.matched = matched


def _selection_changed(error: SelectionChanged) -> Problem:
    return Problem(
        SELECTION_CHANGED,
        f"You expected {error.expected} learners, but {error.matched} are selected now; nothing was done.",
        members={"expected_count": error.expected, "matched_count": error.matched},
    )


def outcomes_removed() -> Problem:
    """The answer to whoever asks too late what became of each learner."""
    return Problem(OUTCOMES_REMOVED, "What became of each learner is not kept any more; the counts are.")


TRANSLATIONS: Translations = {SelectionChanged: _selection_changed}

illustrate(_selection_changed(SelectionChanged(2340, 2341)))
illustrate(outcomes_removed())
