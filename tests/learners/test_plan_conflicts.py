"""Names in a plan are judged by the state after the operation: hand-ons, swaps, rings, and rows that cannot be."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given

from app.learners.plan import Fields, Reason
from app.learners.plan_conflicts import Mover, find_conflicts, group_movers, take_groups
from tests.support.name_plans import (
    LEARNERS,
    WITH_EXTERNAL_ID,
    Row,
    find_largest_set,
    has_one_holder_each,
    name_plans,
)

BOTH = Fields.USERNAME | Fields.EXTERNAL_ID


def rename(item: int, learner: str | None, holder: str | None = None, **options: Any) -> Mover:
    """Make the row that gives a learner a username, which `holder` has now."""
    values = {"external_id_holder": None, "applies": True, "changes": Fields.USERNAME, **options}
    return Mover(item, item + 2, learner, username_holder=holder, **values)


def refused(movers: Sequence[Mover]) -> list[int]:
    return [conflict.item for conflict in find_conflicts(movers)]


@pytest.mark.parametrize("length", [2, 3, 5, 1000])
def test_ring_of_any_length_is_applied_together(length: int) -> None:
    ring = [rename(item, f"{item}", f"{(item + 1) % length}") for item in range(length)]
    assert refused(ring) == []
    assert group_movers(ring) == [list(range(length))]


@pytest.mark.parametrize("length", [1, 2, 50_000])
def test_chain_is_applied_if_the_last_name_is_free(length: int) -> None:
    chain = [rename(item, f"{item}", f"{item + 1}") for item in range(length)] + [rename(length, f"{length}")]
    assert refused(chain) == []
    assert group_movers(chain) == [list(range(length + 1))]


@pytest.mark.parametrize("length", [1, 2, 50_000])
def test_chain_is_refused_as_a_whole_if_the_last_name_is_kept(length: int) -> None:
    chain = [rename(item, f"{item}", f"{item + 1}") for item in range(length)]
    assert refused(chain) == list(range(length))


def test_order_of_the_rows_does_not_matter() -> None:
    chain = [rename(item, f"{item}", f"{item + 1}") for item in range(5)]
    assert refused(chain[::-1]) == refused(chain) == list(range(5))


def test_name_can_be_handed_on_to_a_new_learner() -> None:
    movers = [rename(0, None, "ada"), rename(1, "ada")]
    assert refused(movers) == []
    assert group_movers(movers) == [[0, 1]]


@pytest.mark.parametrize(
    "holder",
    [
        [],
        [rename(1, "ada", applies=False)],
        [rename(1, "ada", changes=Fields.EXTERNAL_ID)],
        [rename(1, "ada", "grace")],
    ],
    ids=["has no row", "is refused", "changes another name", "cannot change it"],
)
def test_name_that_its_holder_keeps_is_a_conflict(holder: list[Mover]) -> None:
    assert 0 in refused([rename(0, "kim", "ada"), *holder])


def test_row_in_conflict_over_one_name_gives_up_none() -> None:
    """Ada cannot have Grace's username, so her external id stays hers, too."""
    movers = [
        rename(0, "ada", "grace", changes=BOTH),
        rename(1, "kim", external_id_holder="ada", changes=Fields.EXTERNAL_ID),
    ]
    assert refused(movers) == [0, 1]


@pytest.mark.parametrize(
    ("mover", "reason"),
    [
        (rename(0, "kim", "ada"), Reason.TWO_LEARNERS),
        (rename(0, None, "ada"), Reason.OTHER_EXTERNAL_ID),
        (rename(0, "kim", external_id_holder="ada"), Reason.EXTERNAL_ID_TAKEN),
        (rename(0, "kim", "ada", external_id_holder="ada"), Reason.TWO_LEARNERS),
        (rename(0, "kim", "grace", external_id_holder="ada"), Reason.EXTERNAL_ID_TAKEN),
    ],
)
def test_conflict_tells_which_name_is_taken(mover: Mover, reason: Reason) -> None:
    gives_up = rename(1, "grace")
    assert [conflict.reason for conflict in find_conflicts([mover, gives_up])] == [reason]


def make_movers(rows: Sequence[Row]) -> list[Mover]:
    """Make what the plan says of these rows."""
    movers = []
    for item, row in enumerate(rows):
        had_id = row.learner if row.learner is not None and row.learner < WITH_EXTERNAL_ID else None
        changes = Fields(0)
        if row.username is not None and row.username != row.learner:
            changes |= Fields.USERNAME
        if row.sets_external_id and row.external_id != had_id:
            changes |= Fields.EXTERNAL_ID
        holders = [
            str(name) if field & changes and name is not None and name < known else None
            for field, name, known in (
                (Fields.USERNAME, row.username, LEARNERS),
                (Fields.EXTERNAL_ID, row.external_id, WITH_EXTERNAL_ID),
            )
        ]
        learner_id = None if row.learner is None else str(row.learner)
        movers.append(Mover(item, None, learner_id, changes, holders[0], holders[1], row.applies))
    return movers


@given(name_plans)
def test_every_name_has_one_holder_and_no_row_is_refused_in_vain(rows: list[Row]) -> None:
    willing = {item for item, row in enumerate(rows) if row.applies}
    assert willing - set(refused(make_movers(rows))) == find_largest_set(rows)


@given(name_plans)
def test_groups_can_be_applied_one_after_the_other(rows: list[Row]) -> None:
    movers = make_movers(rows)
    conflicts = set(refused(movers))
    left = [mover for mover in movers if mover.applies and mover.item not in conflicts]
    groups = group_movers(left)
    items = [item for group in groups for item in group]
    assert len(items) == len(set(items))
    applied: set[int] = set()
    for group in [*groups, *([mover.item] for mover in left if mover.item not in items)]:
        applied |= set(group)
        assert has_one_holder_each(rows, applied)


def test_groups_are_taken_whole() -> None:
    groups = [[0, 1, 2], [3, 4], [5, 6, 7, 8]]
    assert [take_groups(groups, limit) for limit in (1, 3, 4, 5, 8, 9)] == [
        [0, 1, 2],
        [0, 1, 2],
        [0, 1, 2],
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4],
        list(range(9)),
    ]
    assert take_groups([], 5) == []
