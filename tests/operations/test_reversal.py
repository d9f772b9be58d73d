"""What taking back one change does to one learner, in pure code: which facts return, and what is in the way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.status import Account
from app.domain.transitions import deactivate
from app.learners.fields import PROFILE_NAMES
from app.learners.learner import (
    Cause,
    Learner,
    change_back,
    change_of,
    creation_of,
    event_documents,
)
from app.learners.unique_keys import UniqueKey
from app.operations.errors import ChangedSince, NameTaken, Obstacle, OperationNotRevertible
from app.operations.operation import Kind, Operation, State
from app.operations.parameters import BulkActionParameters
from app.operations.reverts import Reversal, require_revertible
from app.platform.ids import new_id
from tests.support.accounts import ACCESSED_AT, ACCOUNTS, DEACTIVATED_AT, NOW, TODAY, TOMORROW, accounts

CAUSE = Cause({"kind": "api-key", "id": None, "name": "admin"}, NOW, TODAY)
EARLIER = datetime(2025, 1, 1, tzinfo=UTC)
DONE_AT = NOW - timedelta(hours=1)
DONE = Cause({"kind": "api-key", "id": None, "name": "hr-feed"}, DONE_AT, TODAY)
names = st.sampled_from(["ada", "Ada", "grace", "élan"])
profiles = st.fixed_dictionaries(
    {"username": names}
    | {name: st.none() | names for name in ("email", "first_name", "last_name", "external_id")}
)


def learner(username: str = "ada", account: Account = Account(), **members: Any) -> Learner:  # noqa: B008 - a tuple
    return Learner(new_id(EARLIER), username, account, EARLIER, version=3, **members)


def done(one: Any, account: Account | None = None, **profile: Any) -> tuple[Any, Any]:
    """The learner after a change, and what its event tells of before."""
    change = change_of(one, DONE, one.account if account is None else account, profile)
    assert change is not None
    return change.after, event_documents(change, TODAY)[0]


def take_back(one: Any, before: Any, **holders: Any) -> Any:
    reversal = Reversal(
        CAUSE, {UniqueKey(kind.replace("_", "-"), name): who for kind, (name, who) in holders.items()}
    )
    return reversal.decide(one, before)


# The facts


@given(was=accounts, had=profiles, becomes=accounts, has=profiles)
def test_revert_restores_exactly_the_changed_facts(was: Any, had: Any, becomes: Any, has: Any) -> None:
    one = learner(account=was, last_accessed_at=EARLIER, **had)
    change = change_of(one, DONE, becomes, has)
    if change is None:
        return
    before, _ = event_documents(change, TODAY)

    back = change_back(change.after, before, CAUSE)

    if before.keys() == {"status"}:
        assert back is None  # only the end of sessions had changed, which no event tells
        return
    assert back is not None
    assert [getattr(back.after, name) for name in PROFILE_NAMES] == [
        getattr(one, name) for name in PROFILE_NAMES
    ]
    assert back.after.account._replace(sessions_valid_from=None) == was._replace(sessions_valid_from=None)
    is_taken_away = was.deactivated_at is not None and becomes.deactivated_at is None
    assert back.after.account.sessions_valid_from == (NOW if is_taken_away else becomes.sessions_valid_from)
    assert (back.after.version, back.after.updated_at) == (one.version + 2, NOW)
    assert back.after.last_accessed_at == EARLIER


@pytest.mark.parametrize("name", ACCOUNTS)
def test_reverted_deactivation_keeps_earlier_sessions_refused(name: str) -> None:
    one = learner(account=ACCOUNTS[name]._replace(deactivated_at=None))
    after, before = done(one, deactivate(one.account, DONE_AT).account)

    decision = take_back(after, before)

    assert decision.outcome == "changed"
    assert decision.learner.account == one.account._replace(sessions_valid_from=DONE_AT)
    assert decision.change.type == "learner.activated"


def test_reverted_activation_restores_the_instant_and_ends_access_now() -> None:
    was = Account(DEACTIVATED_AT, ACCESSED_AT, None, DEACTIVATED_AT)
    after, before = done(learner(account=was), was._replace(deactivated_at=None))

    decision = take_back(after, before)

    assert decision.learner.account == was._replace(sessions_valid_from=NOW)
    assert decision.change.type == "learner.deactivated"


def test_other_changes_of_a_deactivated_learner_keep_sessions() -> None:
    was = Account(DEACTIVATED_AT, None, None, DEACTIVATED_AT)
    after, before = done(learner(account=was), was._replace(expires_on=TOMORROW), email="a@example.org")

    assert take_back(after, before).learner.account == was


def test_learner_created_by_an_import_is_deactivated_by_a_revert() -> None:
    one = learner(external_id="HR-1", account=Account(expires_on=TOMORROW))._replace(version=1)
    assert creation_of(one).before is None

    decision = take_back(one, {})

    assert decision.outcome == "changed"
    assert decision.learner == one._replace(
        account=Account(NOW, None, TOMORROW, NOW), version=2, updated_at=NOW
    )


def test_learner_created_as_deactivated_is_unchanged_by_a_revert() -> None:
    one = learner(account=Account(DONE_AT, None, None, DONE_AT))
    decision = take_back(one, {})
    assert (decision.outcome, decision.learner, decision.change) == ("unchanged", one, None)


def test_later_change_keeps_the_learner() -> None:
    one = learner()
    decision = take_back(one, None)
    assert (decision.outcome, decision.learner, decision.change) == ("kept", one, None)
    assert decision.reason == ChangedSince()


# Names


def test_username_that_another_learner_now_has_keeps_the_learner_unchanged() -> None:
    after, before = done(learner(), username="lovelace", email="a@example.org")

    decision = take_back(after, before, username=("ada", "somebody else"))

    assert (decision.outcome, decision.learner, decision.change) == ("kept", after, None)
    assert decision.reason == NameTaken("username", "ada")


def test_external_id_that_another_learner_now_has_keeps_the_learner_unchanged() -> None:
    after, before = done(learner(external_id="HR-1"), external_id="HR-2")

    decision = take_back(after, before, external_id=("HR-1", "somebody else"))

    assert (decision.outcome, decision.reason) == ("kept", NameTaken("external-id", "HR-1"))


def test_taken_username_is_reported_before_taken_external_id() -> None:
    after, before = done(learner(external_id="HR-1"), username="b", external_id="HR-2")
    holders = {"username": ("ada", "somebody"), "external_id": ("HR-1", "somebody")}
    assert take_back(after, before, **holders).reason == NameTaken("username", "ada")


def test_reverting_a_new_external_id_leaves_none() -> None:
    after, before = done(learner(), external_id="HR-2")
    assert take_back(after, before).learner.external_id is None


def test_own_username_in_another_case_is_free() -> None:
    after, before = done(learner("Ada"), username="ADA")
    assert take_back(after, before, username=("ada", after.id)).learner.username == "Ada"


def test_chain_of_renames_is_reverted_from_its_end() -> None:
    first, first_before = done(learner("a"), username="b")
    second, second_before = done(learner("z"), username="a")
    holders: dict[UniqueKey, str | None] = {UniqueKey("username", "a"): second.id}

    reversal = Reversal(CAUSE, dict(holders))
    assert [
        reversal.decide(*each).learner.username for each in ((second, second_before), (first, first_before))
    ] == ["z", "a"]
    assert reversal.moved == {
        ("username", "a"): first.id,
        ("username", "z"): second.id,
        ("username", "b"): None,
    }

    reversal = Reversal(CAUSE, dict(holders))
    assert [reversal.decide(*each).outcome for each in ((first, first_before), (second, second_before))] == [
        "kept",
        "changed",
    ]


# What can be reverted


TOO_MANY = {"code": "too-many-deactivations"}


def operation(
    state: Any = State.SUCCEEDED, *, dry_run: bool = False, problem: Any = None, **counts: Any
) -> Any:
    return Operation(
        id=new_id(EARLIER),
        organization_id=1,
        kind=Kind.BULK_ACTION,
        dry_run=dry_run,
        created_by={},
        created_at=EARLIER,
        parameters=BulkActionParameters(),
        chunks=1,
        total=1,
        state=state,
        counts=counts or {"changed": 1},
        problem=problem,
        finished_at=None if state in (State.PENDING, State.RUNNING) else NOW,
    )


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.CANCELLED, State.FAILED])
@pytest.mark.parametrize("counts", [{"changed": 1}, {"created": 1, "refused": 3}])
def test_ended_operation_with_changes_can_be_reverted(state: State, counts: dict[str, Any]) -> None:
    require_revertible(operation(state, **counts), None)


@pytest.mark.parametrize(
    ("original", "earlier", "obstacle"),
    [
        (operation(State.PENDING), None, Obstacle.NOT_ENDED),
        (operation(State.RUNNING), None, Obstacle.NOT_ENDED),
        (operation(dry_run=True), None, Obstacle.DRY_RUN),
        (operation(State.REFUSED, problem=TOO_MANY), None, Obstacle.REFUSED),
        # Cancelled while it recorded what it would have done.
        (operation(State.CANCELLED, problem=TOO_MANY), None, Obstacle.REFUSED),
        (operation(unchanged=7), None, Obstacle.CHANGED_NOTHING),
        (operation(), operation(State.PENDING), Obstacle.ALREADY_REVERTED),
        (operation(), operation(State.SUCCEEDED), Obstacle.ALREADY_REVERTED),
    ],
)
def test_operation_that_cannot_be_reverted_says_why(
    original: Operation, earlier: Operation | None, obstacle: Obstacle
) -> None:
    with pytest.raises(OperationNotRevertible) as raised:
        require_revertible(original, earlier)
    assert raised.value.obstacle is obstacle
    assert raised.value.reverted_by == (earlier and earlier.id)


@pytest.mark.parametrize("state", [State.CANCELLED, State.FAILED])
def test_unfinished_revert_can_be_followed_by_another(state: State) -> None:
    require_revertible(operation(), operation(state))
