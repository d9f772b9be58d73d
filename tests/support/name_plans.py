"""Plans that move names between learners, and which of their rows can be applied."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from hypothesis import strategies as st


class Row(NamedTuple):
    """A row of a drawn plan: the learner whom it is about (None = new), and the names that it sets."""

    learner: int | None
    username: int | None
    external_id: int | None
    sets_external_id: bool
    applies: bool


LEARNERS = 6
# Learner `number` has the username `number`, and the external id `number` if it is below this.
WITH_EXTERNAL_ID = 4


@st.composite
def _draw_plan(draw: st.DrawFn) -> list[Row]:
    """Draw rows of different learners, each of which wants names that no other row wants."""
    learners = draw(st.lists(st.integers(0, LEARNERS - 1), unique=True, max_size=LEARNERS))
    everyone: list[int | None] = [*learners, *[None] * draw(st.integers(0, 2))]
    usernames = draw(st.permutations(range(9)))
    external_ids = draw(st.permutations(range(9)))
    rows = []
    for place, learner in enumerate(draw(st.permutations(everyone))):
        username = None if learner is not None and draw(st.booleans()) else usernames[place]
        sets_external_id = draw(st.booleans())
        external_id = external_ids[place] if sets_external_id and draw(st.booleans()) else None
        rows.append(Row(learner, username, external_id, sets_external_id, draw(st.integers(0, 9)) > 0))
    return rows


def list_holders(rows: Sequence[Row], applied: set[int]) -> Iterator[tuple[str, int]]:
    """Yield each name that someone has after these rows are applied, as often as someone has it."""
    by_learner = {
        row.learner: row for item, row in enumerate(rows) if item in applied and row.learner is not None
    }
    for learner in range(LEARNERS):
        row = by_learner.get(learner)
        yield "username", learner if row is None or row.username is None else row.username
        external_id = learner if learner < WITH_EXTERNAL_ID else None
        if row is not None and row.sets_external_id:
            external_id = row.external_id
        if external_id is not None:
            yield "external_id", external_id
    for item, row in enumerate(rows):
        if item in applied and row.learner is None:
            yield "username", row.username or 0
            if row.external_id is not None:
                yield "external_id", row.external_id


def has_one_holder_each(rows: Sequence[Row], applied: set[int]) -> bool:
    held = list(list_holders(rows, applied))
    return len(held) == len(set(held))


def find_largest_set(rows: Sequence[Row]) -> set[int]:
    """Return the largest set of rows after which every name has one holder. It contains every other such set."""
    willing = [item for item, row in enumerate(rows) if row.applies]
    possible = [
        set(some)
        for size in range(len(willing) + 1)
        for some in combinations(willing, size)
        if has_one_holder_each(rows, set(some))
    ]
    largest = set[int]().union(*possible)
    assert has_one_holder_each(rows, largest)
    return largest


name_plans = _draw_plan()
