"""The decision on one wish: profile, expiration date and Active together."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Expired
from app.domain.status import Account, Status, has_expired, resolve_status
from app.domain.transitions import Refused
from app.learners.decide import Unchanged, decide_change, decide_creation
from app.learners.learner import Cause, Change, Learner
from app.learners.wish import NO_CHANGE, Wish
from app.platform.ids import new_id
from tests.support.accounts import FACTS, NOW, TODAY, TOMORROW, YESTERDAY, accounts, days
from tests.support.wishes import wish

CAUSE = Cause({"kind": "api-key", "id": None, "name": "hr-feed"}, NOW, TODAY)
EARLIER = datetime(2025, 1, 1, tzinfo=UTC)


def learner(account: Account = FACTS["new"], **profile: Any) -> Learner:
    return Learner(new_id(EARLIER), "ada", account, EARLIER, version=3, **profile)


def test_empty_wish_is_unchanged() -> None:
    known = learner()

    assert decide_change(known, Wish(), CAUSE) == Unchanged(known)


def test_wish_for_what_the_learner_has_is_unchanged() -> None:
    known = learner(Account(expires_on=TOMORROW), email="a@example.org")

    asked = wish(username="ada", email="a@example.org", expires_on=TOMORROW, is_active=True)

    assert decide_change(known, asked, CAUSE) == Unchanged(known)


def test_profile_date_and_active_become_one_change() -> None:
    known = learner(FACTS["accessed"], email="old@example.org")

    change = decide_change(known, wish(email="new@example.org", expires_on=TOMORROW, is_active=False), CAUSE)

    assert isinstance(change, Change)
    assert change.before is known
    assert change.type == "learner.deactivated"
    assert (change.after.email, change.after.version, change.after.updated_at) == ("new@example.org", 4, NOW)
    assert change.after.account == FACTS["accessed"]._replace(
        expires_on=TOMORROW, deactivated_at=NOW, sessions_valid_from=NOW
    )


def test_null_clears_a_field() -> None:
    change = decide_change(learner(email="a@example.org"), Wish({"email": None}), CAUSE)

    assert isinstance(change, Change)
    assert change.after.email is None


def test_activating_an_expired_learner_is_refused_with_the_reason() -> None:
    known = learner(FACTS["accessed-deactivated"]._replace(expires_on=YESTERDAY))

    decision = decide_change(known, wish(email="new@example.org", is_active=True), CAUSE)

    assert decision == Refused(Expired(YESTERDAY, Status.DEACTIVATED))


@pytest.mark.parametrize("expires_on", [None, TODAY, TOMORROW])
def test_date_is_applied_before_active(expires_on: date | None) -> None:
    known = learner(FACTS["accessed-deactivated"]._replace(expires_on=YESTERDAY))

    change = decide_change(known, wish(expires_on=expires_on, is_active=True), CAUSE)

    assert isinstance(change, Change)
    assert resolve_status(change.after.account, TODAY) == "active"


def test_past_date_in_the_wish_refuses_its_own_activation() -> None:
    decision = decide_change(learner(), wish(expires_on=YESTERDAY, is_active=True), CAUSE)

    assert decision == Refused(Expired(YESTERDAY, Status.ACTIVATED))


wishes = st.builds(
    Wish,
    profile=st.dictionaries(st.sampled_from(["email", "first_name"]), st.none() | st.just("a@b")),
    expires_on=st.just(NO_CHANGE) | st.none() | days,
    is_active=st.none() | st.booleans(),
)


@given(accounts, wishes)
def test_wish_is_refused_only_if_it_activates_an_expired_learner(account: Account, asked: Wish) -> None:
    known = learner(account)
    decision = decide_change(known, asked, CAUSE)

    expires_on = account.expires_on if asked.expires_on is NO_CHANGE else asked.expires_on
    has_passed = has_expired(Account(expires_on=expires_on), TODAY)
    assert isinstance(decision, Refused) == (has_passed and asked.is_active is True)


@given(accounts, wishes)
def test_repeating_a_wish_changes_nothing(account: Account, asked: Wish) -> None:
    decision = decide_change(learner(account), asked, CAUSE)

    if isinstance(decision, Change):
        assert decide_change(decision.after, asked, CAUSE) == Unchanged(decision.after)


def test_creation_makes_an_activated_learner_of_version_1() -> None:
    change = decide_creation("some-id", wish(username="ada", email="a@example.org"), CAUSE)

    assert isinstance(change, Change)
    assert change.before is None
    assert change.after == Learner("some-id", "ada", Account(), NOW, version=1, email="a@example.org")


def test_creation_of_an_active_learner_who_has_expired_is_refused() -> None:
    decision = decide_creation("some-id", wish(username="ada", expires_on=YESTERDAY, is_active=True), CAUSE)

    assert decision == Refused(Expired(YESTERDAY, Status.ACTIVATED))


def test_creation_of_an_inactive_learner_is_deactivated() -> None:
    change = decide_creation("some-id", wish(username="ada", is_active=False), CAUSE)

    assert isinstance(change, Change)
    assert (change.type, resolve_status(change.after.account, TODAY)) == ("learner.created", "deactivated")
