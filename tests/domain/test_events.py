"""One change is one event: each type alone, and which type names a change of several things."""

from datetime import date, timedelta

import pytest
from hypothesis import given

from app.domain.events import EventType, classify_change
from app.domain.status import Account
from tests.support.accounts import (
    ACCESSED_AT,
    ACCOUNTS,
    DATES,
    DEACTIVATED_AT,
    NOW,
    TODAY,
    TOMORROW,
    YESTERDAY,
    accounts,
    days,
)

DEACTIVATIONS = {
    "stays-out": (DEACTIVATED_AT, DEACTIVATED_AT),
    "stays-in": (None, None),
    "deactivates": (None, NOW),
    "activates": (DEACTIVATED_AT, None),
}
FIRST_ACCESSES = {"same": (None, None), "had": (ACCESSED_AT, ACCESSED_AT), "accesses": (None, NOW)}
MOVES = {
    "keeps": (TOMORROW, TOMORROW),
    "moves": (TODAY, None),
    "expires": (None, YESTERDAY),
    "restores": (YESTERDAY, TODAY),
    "stays-expired": (YESTERDAY, date(2020, 1, 31)),
}
# Row: what happens to the deactivation and the first access. Column: what happens to the date.
NAMES = """
                       keeps        moves        expires      restores     stays-expired
deactivates/same       deactivated  deactivated  deactivated  deactivated  deactivated
deactivates/had        deactivated  deactivated  deactivated  deactivated  deactivated
deactivates/accesses   deactivated  deactivated  deactivated  deactivated  deactivated
activates/same         activated    activated    activated    activated    activated
activates/had          activated    activated    activated    activated    activated
activates/accesses     activated    activated    activated    activated    activated
stays-in/accesses      accessed     accessed     accessed     accessed     accessed
stays-out/accesses     accessed     accessed     accessed     accessed     accessed
stays-in/same          updated      updated      expired      restored     updated
stays-in/had           updated      updated      expired      restored     updated
stays-out/same         updated      updated      expired      restored     updated
stays-out/had          updated      updated      expired      restored     updated
"""


def combinations() -> dict[tuple[str, str, str], str]:
    header, *rows = [line.split() for line in NAMES.strip().splitlines()]
    found = {}
    for facts, *names in rows:
        deactivation, access = facts.split("/")
        for move, name in zip(header, names, strict=True):
            found[deactivation, access, move] = name
    assert len(found) == len(DEACTIVATIONS) * len(FIRST_ACCESSES) * len(MOVES)
    return found


@pytest.mark.parametrize(("deactivation", "access", "move"), combinations())
def test_first_applicable_type_names_the_change(deactivation: str, access: str, move: str) -> None:
    before, after = (
        Account(deactivated_at=deactivated_at, first_accessed_at=first_accessed_at, expires_on=expires_on)
        for deactivated_at, first_accessed_at, expires_on in zip(
            DEACTIVATIONS[deactivation], FIRST_ACCESSES[access], MOVES[move], strict=True
        )
    )
    expected = combinations()[deactivation, access, move]
    assert classify_change(before, after, TODAY).value == f"learner.{expected}"


def test_the_types_are_those_of_the_contract() -> None:
    assert [kind.value for kind in EventType] == [
        "learner.created",
        "learner.updated",
        "learner.activated",
        "learner.deactivated",
        "learner.accessed",
        "learner.expired",
        "learner.restored",
    ]


@pytest.mark.parametrize("name", ACCOUNTS)
def test_new_account_is_created_whatever_its_facts(name: str) -> None:
    assert classify_change(None, ACCOUNTS[name], TODAY) is EventType.CREATED


@pytest.mark.parametrize("name", ACCOUNTS)
def test_profile_change_is_an_update(name: str) -> None:
    assert classify_change(ACCOUNTS[name], ACCOUNTS[name], TODAY) is EventType.UPDATED


@pytest.mark.parametrize("to", DATES)
@pytest.mark.parametrize("was", DATES)
def test_date_expires_or_restores_only_if_it_crosses_today(was: str, to: str) -> None:
    before, after = Account(expires_on=DATES[was]), Account(expires_on=DATES[to])
    expected = EventType.UPDATED
    if to == "yesterday" != was:
        expected = EventType.EXPIRED
    if was == "yesterday" != to:
        expected = EventType.RESTORED
    assert classify_change(before, after, TODAY) is expected


def test_passing_of_a_day_is_no_change() -> None:
    account = Account(expires_on=TODAY)
    assert classify_change(account, account, TOMORROW) is EventType.UPDATED


def test_undone_access_or_other_deactivation_is_an_update() -> None:
    accessed = ACCOUNTS["accessed/never"]
    assert classify_change(accessed, accessed._replace(first_accessed_at=None), TODAY) is EventType.UPDATED
    deactivated = ACCOUNTS["new-deactivated/never"]
    other_instant = deactivated._replace(deactivated_at=NOW)
    assert classify_change(deactivated, other_instant, TODAY) is EventType.UPDATED


@given(accounts, accounts, days)
def test_undone_deactivation_is_an_activation_and_vice_versa(
    before: Account, after: Account, today: date
) -> None:
    opposite = {
        EventType.DEACTIVATED: EventType.ACTIVATED,
        EventType.ACTIVATED: EventType.DEACTIVATED,
    }
    done, undone = classify_change(before, after, today), classify_change(after, before, today)
    assert undone is opposite.get(done, undone)


@given(accounts, days)
def test_date_moved_over_today_expires_and_moved_back_restores(account: Account, today: date) -> None:
    past = account._replace(expires_on=today - timedelta(days=1))
    last_day = account._replace(expires_on=today)
    assert classify_change(last_day, past, today) is EventType.EXPIRED
    assert classify_change(past, last_day, today) is EventType.RESTORED
