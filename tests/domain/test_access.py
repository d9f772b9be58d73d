"""Who may enter and why not: by status and by the start of the portal session."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.access import Access, DenialReason, decide_access
from app.domain.status import Account, Status, resolve_status
from app.domain.transitions import Changed, activate, deactivate
from tests.support.accounts import (
    ACCOUNTS,
    DEACTIVATED_AT,
    NOW,
    TODAY,
    accounts,
    cells,
    days,
    instants,
    with_access,
)

WITHOUT_SESSION = """
                      never        yesterday  today        tomorrow
new                   allowed      expired    allowed      allowed
accessed              allowed      expired    allowed      allowed
new-deactivated       deactivated  expired    deactivated  deactivated
accessed-deactivated  deactivated  expired    deactivated  deactivated
"""
# When the account was last deactivated, when the session began, and what a session then gets where
# the learner as such is let in.
SESSIONS = [
    (None, None, "allowed"),
    (None, DEACTIVATED_AT, "allowed"),
    (DEACTIVATED_AT, None, "allowed"),
    (DEACTIVATED_AT, DEACTIVATED_AT - timedelta(days=30), "session-revoked"),
    (DEACTIVATED_AT, DEACTIVATED_AT - timedelta(microseconds=1), "session-revoked"),
    (DEACTIVATED_AT, DEACTIVATED_AT, "allowed"),
    (DEACTIVATED_AT, DEACTIVATED_AT + timedelta(microseconds=1), "allowed"),
    (DEACTIVATED_AT, NOW, "allowed"),
]
SESSION_NAMES = [
    "no-deactivation-no-session",
    "no-deactivation",
    "no-session",
    "long-before",
    "just-before",
    "at-the-same-instant",
    "just-after",
    "long-after",
]


@pytest.mark.parametrize(("valid_from", "started_at", "outcome"), SESSIONS, ids=SESSION_NAMES)
@pytest.mark.parametrize("name", ACCOUNTS)
def test_status_decides_before_the_session(
    name: str, valid_from: datetime | None, started_at: datetime | None, outcome: str
) -> None:
    by_status = cells(WITHOUT_SESSION)[name]
    expected = outcome if by_status == "allowed" else by_status
    access = decide_access(ACCOUNTS[name]._replace(sessions_valid_from=valid_from), TODAY, started_at)
    assert (access.reason or "allowed") == expected
    assert access.allowed == (expected == "allowed")
    assert access.status is resolve_status(ACCOUNTS[name], TODAY)


def test_there_are_three_denial_reasons() -> None:
    assert [reason.value for reason in DenialReason] == ["deactivated", "expired", "session-revoked"]


def test_session_start_in_any_time_zone_is_compared_correctly() -> None:
    account = Account(sessions_valid_from=datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    before = datetime(2026, 3, 1, 17, 44, 59, tzinfo=kathmandu)
    assert decide_access(account, TODAY, before).reason is DenialReason.SESSION_REVOKED
    assert decide_access(account, TODAY, before + timedelta(seconds=1)).allowed


@given(accounts, days)
def test_access_is_allowed_only_if_active_or_activated(account: Account, today: date) -> None:
    status = resolve_status(account, today)
    assert decide_access(account, today).allowed == (status in {Status.ACTIVE, Status.ACTIVATED})


@given(accounts, days, st.none() | instants)
def test_only_a_refusal_has_a_reason(account: Account, today: date, started_at: datetime | None) -> None:
    access = decide_access(account, today, started_at)
    assert access.allowed == (access.reason is None)
    assert access.status is resolve_status(account, today)


@given(with_access, instants, st.timedeltas(timedelta(microseconds=1), timedelta(days=400)))
def test_session_from_before_a_deactivation_stays_refused_after_activation(
    account_and_day: tuple[Account, date], now: datetime, session_age: timedelta
) -> None:
    account, today = account_and_day
    started_at = now - session_age
    deactivated = deactivate(account, now).account
    assert decide_access(deactivated, today, started_at).reason is DenialReason.DEACTIVATED

    answer = activate(deactivated, today)
    assert isinstance(answer, Changed)
    assert decide_access(answer.account, today, started_at) == Access(
        allowed=False, status=resolve_status(account, today), reason=DenialReason.SESSION_REVOKED
    )
    assert decide_access(answer.account, today, now).allowed
    assert decide_access(answer.account, today).allowed
