"""What a revert can do about one change, in pure code: what it restores and keeps. And what can be reverted."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.learners.fields import PROFILE_NAMES
from app.learners.repository import RecordedChange
from app.operations.errors import Obstacle, OperationNotRevertible
from app.operations.operation import Kind, Operation, State, Tidied
from app.operations.parameters import BulkActionParameters
from app.operations.reverts import Remainder, find_remainder, require_revertible
from app.platform.ids import new_id

EARLIER = datetime(2025, 1, 1, tzinfo=UTC)
LEARNER = new_id(EARLIER)
FACTS = (*PROFILE_NAMES, "expires_on", "deactivated_at")
# Which operation each revert has reverted: `undo-x` reverted x, and `redo-x` reverted that revert.
REVERTED = {
    "undo-a": "a",
    "redo-a": "undo-a",
    "undo-b": "b",
    "undo-b-again": "b",
    "redo-b": "undo-b",
    "undo-redo-b": "redo-b",
    "undo-c": "c",
}


def change(operation_id: str | None, **before: Any) -> RecordedChange:
    """A change by this operation, None = a single change, and what it recorded of before."""
    recorded = {**before, "status": "active"} if before else {}
    return RecordedChange(LEARNER, 2, operation_id, {}, "learner.updated", recorded)


def find(original: RecordedChange, *later: RecordedChange) -> Remainder:
    return find_remainder(original, later, REVERTED)


# The facts


def test_change_without_later_ones_is_restored_whole() -> None:
    assert find(change("a", email="a@example.org", expires_on=None)) == Remainder(
        {"email": "a@example.org", "expires_on": None}, []
    )


@pytest.mark.parametrize("name", FACTS)
def test_fact_that_was_changed_later_is_kept_and_the_others_are_restored(name: str) -> None:
    before = {each: f"{each} before" for each in FACTS}

    remainder = find(change("a", **before), change(None, **{name: "later"}))

    assert remainder == Remainder({each: before[each] for each in FACTS if each != name}, [name])


@given(
    before=st.dictionaries(st.sampled_from(FACTS), st.none() | st.text(), min_size=1),
    later=st.lists(
        st.tuples(
            st.sampled_from([None, "b", "c"]),
            st.dictionaries(
                st.sampled_from([*FACTS, "first_accessed_at"]), st.none() | st.text(), min_size=1
            ),
        )
    ),
)
def test_each_changed_fact_is_either_restored_or_kept(
    before: dict[str, Any], later: Sequence[tuple[str | None, dict[str, Any]]]
) -> None:
    remainder = find(change("a", **before), *(change(by, **facts) for by, facts in later))

    changed_since = {name for _, facts in later for name in facts}
    assert set(remainder.kept) == before.keys() & changed_since
    assert remainder.restored == {name: value for name, value in before.items() if name not in changed_since}


def test_first_access_keeps_nothing() -> None:
    assert find(change("a", expires_on="2026-12-01"), change(None, first_accessed_at=None)) == Remainder(
        {"expires_on": "2026-12-01"}, []
    )


def test_created_learner_is_deactivated_whatever_else_was_changed() -> None:
    assert find(change("a"), change(None, email=None), change("b", username="old")) == Remainder(
        {"deactivated_at": None}, []
    )


def test_created_learner_whose_access_was_changed_is_kept() -> None:
    assert find(change("a"), change(None, deactivated_at=None)) == Remainder({}, ["deactivated_at"])


def test_facts_that_an_earlier_revert_has_restored_are_done() -> None:
    original = change("a", email="before", expires_on=None)

    assert find(
        original, change(None, email="after"), change("undo-a", expires_on="2030-01-01")
    ) == Remainder({}, ["email"])
    assert find(original, change("undo-a", email="after", expires_on="2030-01-01")) == Remainder({}, [])
    assert find(change("a"), change("undo-a", deactivated_at=None)) == Remainder({}, [])


@pytest.mark.parametrize(
    ("changed_by", "is_kept"),
    [
        (["b"], True),
        (["b", "undo-b"], False),
        (["b", "undo-b", None], True),
        ([None, "b"], True),
        # A single change stays, whatever was undone around it.
        ([None, "b", "undo-b"], True),
        (["b", "c", "undo-c", "undo-b"], False),
        (["b", "c", "undo-c"], True),
        # Whoever reverts the revert applies the change again.
        (["b", "undo-b", "redo-b"], True),
        (["b", "undo-b", "redo-b", "undo-redo-b"], False),
        # The revert of another operation is a change like any other.
        (["undo-b"], True),
        (["c", "undo-b"], True),
        (["undo-b", "redo-b"], False),
    ],
)
def test_later_change_that_was_undone_does_not_count(changed_by: list[str | None], is_kept: bool) -> None:
    later = [change(each, email="x") for each in changed_by]

    remainder = find(change("a", email="before"), *later)

    assert remainder == (Remainder({}, ["email"]) if is_kept else Remainder({"email": "before"}, []))


# What can be reverted

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
TOO_MANY = {"code": "too-many-deactivations"}


def operation(state: State = State.SUCCEEDED, **members: Any) -> Operation:
    values: dict[str, Any] = {
        "id": new_id(EARLIER),
        "organization_id": 1,
        "kind": Kind.BULK_ACTION,
        "dry_run": False,
        "created_by": {},
        "created_at": EARLIER,
        "request": {},
        "parameters": BulkActionParameters(),
        "chunks": 1,
        "total": 1,
        "state": state,
        "revertible": 1,
        "finished_at": None if state in (State.PENDING, State.RUNNING) else NOW,
    }
    return Operation(**values | members)


ENDED = [State.SUCCEEDED, State.CANCELLED, State.FAILED]


@pytest.mark.parametrize("state", ENDED)
def test_ended_operation_with_changes_can_be_reverted(state: State) -> None:
    require_revertible(operation(state), None)


@pytest.mark.parametrize("state", ENDED)
def test_operation_can_be_reverted_again_while_a_change_is_left(state: State) -> None:
    require_revertible(operation(), operation(state))


@pytest.mark.parametrize(
    ("original", "latest", "obstacle"),
    [
        (operation(State.PENDING), None, Obstacle.NOT_ENDED),
        (operation(State.RUNNING), None, Obstacle.NOT_ENDED),
        (operation(dry_run=True), None, Obstacle.DRY_RUN),
        (operation(State.REFUSED, problem=TOO_MANY), None, Obstacle.REFUSED),
        # Cancelled while it recorded what it would have done.
        (operation(State.CANCELLED, problem=TOO_MANY), None, Obstacle.REFUSED),
        (operation(revertible=0), None, Obstacle.CHANGED_NOTHING),
        (operation(), operation(State.PENDING), Obstacle.BEING_REVERTED),
        (operation(), operation(State.RUNNING), Obstacle.BEING_REVERTED),
        (operation(revertible=0), operation(State.RUNNING), Obstacle.BEING_REVERTED),
        (operation(revertible=0), operation(), Obstacle.ALREADY_REVERTED),
        (operation(tidied=Tidied.OUTCOMES_EXPIRED), None, Obstacle.OUTCOMES_DELETED),
        (operation(tidied=Tidied.ALL), operation(), Obstacle.OUTCOMES_DELETED),
    ],
)
def test_operation_that_cannot_be_reverted_says_why(
    original: Operation, latest: Operation | None, obstacle: Obstacle
) -> None:
    with pytest.raises(OperationNotRevertible) as raised:
        require_revertible(original, latest)
    assert raised.value.obstacle is obstacle
    is_about_revert = obstacle in (Obstacle.BEING_REVERTED, Obstacle.ALREADY_REVERTED)
    assert raised.value.reverted_by == (latest.id if latest and is_about_revert else None)


def test_removed_plan_does_not_prevent_a_revert() -> None:
    require_revertible(operation(tidied=Tidied.WORK), None)
