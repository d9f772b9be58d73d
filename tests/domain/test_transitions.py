"""The changes of an account: the transitions table of the rules, cell by cell.

A cell says the answer and the status of what is stored afterwards.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from app.domain.status import Account, Status, has_expired, resolve_status, restores_to
from app.domain.transitions import (
    Changed,
    Refused,
    Unchanged,
    activate,
    change_expiration,
    deactivate,
    record_access,
)
from tests.support.accounts import (
    ACCOUNTS,
    DATES,
    NOW,
    TODAY,
    TOMORROW,
    YESTERDAY,
    accounts,
    cells,
    days,
    expired,
    instants,
    with_access,
)

Answer = Changed | Unchanged | Refused

ACTIONS: dict[str, Callable[[Account], Answer]] = {
    "deactivate": lambda account: deactivate(account, NOW),
    "activate": lambda account: activate(account, TODAY),
    "record-access": lambda account: record_access(account, NOW),
    "expires-never": lambda account: change_expiration(account, None),
    "expires-yesterday": lambda account: change_expiration(account, YESTERDAY),
    "expires-today": lambda account: change_expiration(account, TODAY),
    "expires-tomorrow": lambda account: change_expiration(account, TOMORROW),
}
EXPECTED = {
    "deactivate": """
                      never                  yesterday          today                  tomorrow
new                   changed/deactivated    changed/expired    changed/deactivated    changed/deactivated
accessed              changed/deactivated    changed/expired    changed/deactivated    changed/deactivated
new-deactivated       unchanged/deactivated  unchanged/expired  unchanged/deactivated  unchanged/deactivated
accessed-deactivated  unchanged/deactivated  unchanged/expired  unchanged/deactivated  unchanged/deactivated
""",
    "activate": """
                      never                  yesterday          today                  tomorrow
new                   unchanged/activated    refused/expired    unchanged/activated    unchanged/activated
accessed              unchanged/active       refused/expired    unchanged/active       unchanged/active
new-deactivated       changed/activated      refused/expired    changed/activated      changed/activated
accessed-deactivated  changed/active         refused/expired    changed/active         changed/active
""",
    "record-access": """
                      never                  yesterday          today                  tomorrow
new                   changed/active         changed/expired    changed/active         changed/active
accessed              unchanged/active       unchanged/expired  unchanged/active       unchanged/active
new-deactivated       changed/deactivated    changed/expired    changed/deactivated    changed/deactivated
accessed-deactivated  unchanged/deactivated  unchanged/expired  unchanged/deactivated  unchanged/deactivated
""",
    "expires-never": """
                      never                  yesterday            today                tomorrow
new                   unchanged/activated    changed/activated    changed/activated    changed/activated
accessed              unchanged/active       changed/active       changed/active       changed/active
new-deactivated       unchanged/deactivated  changed/deactivated  changed/deactivated  changed/deactivated
accessed-deactivated  unchanged/deactivated  changed/deactivated  changed/deactivated  changed/deactivated
""",
    "expires-yesterday": """
                      never            yesterday          today            tomorrow
new                   changed/expired  unchanged/expired  changed/expired  changed/expired
accessed              changed/expired  unchanged/expired  changed/expired  changed/expired
new-deactivated       changed/expired  unchanged/expired  changed/expired  changed/expired
accessed-deactivated  changed/expired  unchanged/expired  changed/expired  changed/expired
""",
    "expires-today": """
                      never                yesterday            today                  tomorrow
new                   changed/activated    changed/activated    unchanged/activated    changed/activated
accessed              changed/active       changed/active       unchanged/active       changed/active
new-deactivated       changed/deactivated  changed/deactivated  unchanged/deactivated  changed/deactivated
accessed-deactivated  changed/deactivated  changed/deactivated  unchanged/deactivated  changed/deactivated
""",
    "expires-tomorrow": """
                      never                yesterday            today                tomorrow
new                   changed/activated    changed/activated    changed/activated    unchanged/activated
accessed              changed/active       changed/active       changed/active       unchanged/active
new-deactivated       changed/deactivated  changed/deactivated  changed/deactivated  unchanged/deactivated
accessed-deactivated  changed/deactivated  changed/deactivated  changed/deactivated  unchanged/deactivated
""",
}
WRITES: dict[str, dict[str, Any]] = {
    "deactivate": {"deactivated_at": NOW, "sessions_valid_from": NOW},
    "activate": {"deactivated_at": None},
    "record-access": {"first_accessed_at": NOW},
    "expires-never": {"expires_on": None},
    "expires-yesterday": {"expires_on": YESTERDAY},
    "expires-today": {"expires_on": TODAY},
    "expires-tomorrow": {"expires_on": TOMORROW},
}
every_combination = pytest.mark.parametrize(
    ("action", "name"), [(action, name) for action in ACTIONS for name in ACCOUNTS]
)


def stored(answer: Answer, before: Account) -> Account:
    return before if isinstance(answer, Refused) else answer.account


@every_combination
def test_action_returns_as_in_the_table(action: str, name: str) -> None:
    account = ACCOUNTS[name]
    answer = ACTIONS[action](account)
    afterwards = resolve_status(stored(answer, account), TODAY)
    assert f"{type(answer).__name__.lower()}/{afterwards}" == cells(EXPECTED[action])[name]


@every_combination
def test_change_writes_only_its_own_facts(action: str, name: str) -> None:
    account = ACCOUNTS[name]
    answer = ACTIONS[action](account)
    changed = isinstance(answer, Changed)
    assert stored(answer, account) == (account._replace(**WRITES[action]) if changed else account)


@every_combination
def test_repeated_action_is_unchanged(action: str, name: str) -> None:
    once = stored(ACTIONS[action](ACCOUNTS[name]), ACCOUNTS[name])
    assert not isinstance(ACTIONS[action](once), Changed)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("new/yesterday", Status.ACTIVATED),
        ("accessed/yesterday", Status.ACTIVE),
        ("new-deactivated/yesterday", Status.DEACTIVATED),
        ("accessed-deactivated/yesterday", Status.DEACTIVATED),
    ],
)
def test_refusal_has_the_date_and_the_status_to_restore(name: str, status: Status) -> None:
    answer = activate(ACCOUNTS[name], TODAY)
    assert isinstance(answer, Refused)
    assert (answer.reason.expires_on, answer.reason.restores_to) == (YESTERDAY, status)


def test_another_past_date_keeps_the_account_expired() -> None:
    answer = change_expiration(ACCOUNTS["new/yesterday"], date(2020, 2, 29))
    assert answer == Changed(Account(expires_on=date(2020, 2, 29)))
    assert resolve_status(answer.account, TODAY) is Status.EXPIRED


def test_expired_account_that_is_deactivated_is_restored_as_deactivated() -> None:
    deactivated = deactivate(ACCOUNTS["accessed/yesterday"], NOW).account
    assert resolve_status(deactivated, TODAY) is Status.EXPIRED
    assert resolve_status(change_expiration(deactivated, TOMORROW).account, TODAY) is Status.DEACTIVATED


@pytest.mark.parametrize("new_date", ["never", "today", "tomorrow"])
def test_new_date_and_activation_restore_an_expired_and_deactivated_account(new_date: str) -> None:
    dated = change_expiration(ACCOUNTS["accessed-deactivated/yesterday"], DATES[new_date]).account
    answer = activate(dated, TODAY)
    assert isinstance(answer, Changed)
    assert resolve_status(answer.account, TODAY) is Status.ACTIVE


def test_activation_works_on_the_last_day_but_not_after() -> None:
    account = ACCOUNTS["new-deactivated/today"]
    assert isinstance(activate(account, TODAY), Changed)
    assert isinstance(activate(account, TOMORROW), Refused)


@given(accounts, instants, instants)
def test_second_deactivation_is_unchanged(account: Account, now: datetime, later: datetime) -> None:
    once = deactivate(account, now).account
    assert deactivate(once, later) == Unchanged(once)


@given(with_access, instants)
def test_activation_undoes_a_deactivation_except_for_sessions(
    account_and_day: tuple[Account, date], now: datetime
) -> None:
    account, today = account_and_day
    answer = activate(deactivate(account, now).account, today)
    assert answer == Changed(account._replace(sessions_valid_from=now))
    assert resolve_status(answer.account, today) is resolve_status(account, today)


@given(accounts, instants, days)
def test_deactivated_account_denies_access(account: Account, now: datetime, today: date) -> None:
    status = resolve_status(deactivate(account, now).account, today)
    assert status is (Status.EXPIRED if has_expired(account, today) else Status.DEACTIVATED)


@given(accounts, days)
def test_activation_is_refused_only_if_expired(account: Account, today: date) -> None:
    assert isinstance(activate(account, today), Refused) == has_expired(account, today)


@given(expired, days)
def test_new_date_restores_the_announced_status(
    account_and_day: tuple[Account, date], other_day: date
) -> None:
    account, today = account_and_day
    promised = restores_to(account, today)
    assert promised is resolve_status(account._replace(expires_on=None), today)
    for new_date in (None, today, max(today, other_day)):
        assert resolve_status(change_expiration(account, new_date).account, today) is promised


@given(accounts, days)
def test_past_date_expires_at_once(account: Account, today: date) -> None:
    dated = change_expiration(account, today - timedelta(days=1)).account
    assert resolve_status(dated, today) is Status.EXPIRED
