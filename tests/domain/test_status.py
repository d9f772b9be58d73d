"""The status table of the rules, and which day *today* is anywhere on earth."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from app.domain.access import decide_access
from app.domain.status import (
    Account,
    Status,
    calendar_day,
    can_log_in,
    has_expired,
    resolve_status,
    restores_to,
    status_unless_expired,
)
from tests.support.accounts import (
    ACCOUNTS,
    DEACTIVATED_AT,
    TODAY,
    accounts,
    cells,
    days,
    instants,
    zones,
)

STATUS = """
                      never        yesterday  today        tomorrow
new                   activated    expired    activated    activated
accessed              active       expired    active       active
new-deactivated       deactivated  expired    deactivated  deactivated
accessed-deactivated  deactivated  expired    deactivated  deactivated
"""
CAN_LOG_IN = """
                      never  yesterday  today  tomorrow
new                   yes    no         yes    yes
accessed              yes    no         yes    yes
new-deactivated       no     no         no     no
accessed-deactivated  no     no         no     no
"""
RESTORES_TO = """
                      never  yesterday    today  tomorrow
new                   -      activated    -      -
accessed              -      active       -      -
new-deactivated       -      deactivated  -      -
accessed-deactivated  -      deactivated  -      -
"""

# A day of an organization, and the instants at which it and the next day begin.
DAYS = [
    ("America/New_York", "2026-03-08", "2026-03-08T05:00Z", "2026-03-09T04:00Z"),  # 23 hours
    ("America/New_York", "2026-11-01", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),  # 25 hours
    ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
    ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
    ("Europe/Berlin", "2026-12-31", "2026-12-30T23:00Z", "2026-12-31T23:00Z"),
    ("Europe/Berlin", "2028-02-29", "2028-02-28T23:00Z", "2028-02-29T23:00Z"),
    ("Asia/Kathmandu", "2026-06-15", "2026-06-14T18:15Z", "2026-06-15T18:15Z"),  # +05:45
    ("Pacific/Chatham", "2026-09-27", "2026-09-26T11:15Z", "2026-09-27T10:15Z"),  # +12:45, then +13:45
    ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00Z", "2026-04-05T13:30Z"),  # half an hour longer
    ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30Z", "2026-10-04T13:00Z"),
    ("Pacific/Kiritimati", "2026-12-31", "2026-12-30T10:00Z", "2026-12-31T10:00Z"),  # the first to end
    ("Etc/GMT+12", "2026-12-31", "2026-12-31T12:00Z", "2027-01-01T12:00Z"),  # the last to end
    ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00Z", "2011-12-30T10:00Z"),  # the 31st follows
    ("America/Sao_Paulo", "2018-02-17", "2018-02-17T02:00Z", "2018-02-18T03:00Z"),  # 23:00 comes twice
    ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00Z", "2018-11-05T02:00Z"),  # begins at 01:00
    ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00Z", "2026-04-24T21:00Z"),  # begins at 01:00
]
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize("deactivated_before", [None, DEACTIVATED_AT], ids=["never-before", "once-before"])
@pytest.mark.parametrize("name", ACCOUNTS)
def test_status_is_as_in_the_table(name: str, deactivated_before: datetime | None) -> None:
    account = ACCOUNTS[name]._replace(sessions_valid_from=deactivated_before)
    assert resolve_status(account, TODAY) == cells(STATUS)[name]


@pytest.mark.parametrize("name", ACCOUNTS)
def test_only_active_and_activated_can_log_in(name: str) -> None:
    assert can_log_in(resolve_status(ACCOUNTS[name], TODAY)) == (cells(CAN_LOG_IN)[name] == "yes")


@pytest.mark.parametrize("name", ACCOUNTS)
def test_only_an_expired_account_has_a_status_to_restore(name: str) -> None:
    assert (restores_to(ACCOUNTS[name], TODAY) or "-") == cells(RESTORES_TO)[name]


def test_two_of_four_statuses_can_log_in() -> None:
    assert {status.value: can_log_in(status) for status in Status} == {
        "active": True,
        "activated": True,
        "deactivated": False,
        "expired": False,
    }


@given(accounts, days)
def test_expired_account_is_restored_to_its_status_without_a_date(account: Account, today: date) -> None:
    undated = resolve_status(account._replace(expires_on=None), today)
    assert undated == status_unless_expired(account)
    assert restores_to(account, today) == (undated if has_expired(account, today) else None)


@given(accounts, days, days)
def test_expired_account_stays_expired_as_days_pass(account: Account, one_day: date, other_day: date) -> None:
    if has_expired(account, min(one_day, other_day)):
        assert resolve_status(account, max(one_day, other_day)) is Status.EXPIRED


@pytest.mark.parametrize(
    ("day", "next_day"),
    [
        ("2024-02-28", "2024-02-29"),
        ("2024-02-29", "2024-03-01"),
        ("2023-02-28", "2023-03-01"),
        ("2000-02-29", "2000-03-01"),
        ("2100-02-28", "2100-03-01"),
        ("2026-12-31", "2027-01-01"),
        ("2026-04-30", "2026-05-01"),
    ],
)
def test_access_ends_with_the_last_day_of_a_month_or_a_leap_year(day: str, next_day: str) -> None:
    account = Account(expires_on=date.fromisoformat(day))
    assert resolve_status(account, date.fromisoformat(day)) is Status.ACTIVATED
    assert resolve_status(account, date.fromisoformat(next_day)) is Status.EXPIRED


@pytest.mark.parametrize("hours", range(-12, 15))
@pytest.mark.parametrize("day", ["2026-03-16", "2026-12-31", "2028-02-28", "2028-02-29"])
def test_a_learner_keeps_access_to_the_last_moment_of_the_day_at_any_offset(hours: int, day: str) -> None:
    # POSIX signs: Etc/GMT+12 is twelve hours behind UTC.
    zone = ZoneInfo(f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT")
    last_day = date.fromisoformat(day)
    midnight = datetime(last_day.year, last_day.month, last_day.day, tzinfo=UTC)
    ends_at = midnight + timedelta(days=1, hours=-hours)
    account = Account(expires_on=last_day)
    assert decide_access(account, calendar_day(ends_at - TICK, zone)).allowed
    assert not decide_access(account, calendar_day(ends_at, zone)).allowed


@pytest.mark.parametrize(
    ("zone", "day", "begins_at", "ends_at"), DAYS, ids=[f"{zone}-{day}" for zone, day, *_ in DAYS]
)
def test_a_learner_keeps_access_from_the_first_to_the_last_moment_of_the_organizations_day(
    zone: str, day: str, begins_at: str, ends_at: str
) -> None:
    time_zone, last_day = ZoneInfo(zone), date.fromisoformat(day)
    begins, ends = datetime.fromisoformat(begins_at), datetime.fromisoformat(ends_at)
    account = Account(expires_on=last_day)

    assert calendar_day(begins - TICK, time_zone) < last_day
    moment = begins
    while moment < ends:
        assert calendar_day(moment, time_zone) == last_day
        assert decide_access(account, calendar_day(moment, time_zone)).allowed
        moment += timedelta(minutes=15)
    assert calendar_day(ends - TICK, time_zone) == last_day
    assert calendar_day(ends, time_zone) > last_day
    assert resolve_status(account, calendar_day(ends, time_zone)) is Status.EXPIRED


def test_a_day_that_samoa_skipped_gives_access_to_the_end_of_the_day_before() -> None:
    samoa = ZoneInfo("Pacific/Apia")
    skipped = Account(expires_on=date(2011, 12, 30))
    crosses_the_date_line = datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert calendar_day(crosses_the_date_line - TICK, samoa) == date(2011, 12, 29)
    assert resolve_status(skipped, calendar_day(crosses_the_date_line - TICK, samoa)) is Status.ACTIVATED
    assert calendar_day(crosses_the_date_line, samoa) == date(2011, 12, 31)
    assert resolve_status(skipped, calendar_day(crosses_the_date_line, samoa)) is Status.EXPIRED


def test_one_instant_falls_on_three_days_around_the_world() -> None:
    now = datetime(2026, 3, 16, 11, 30, tzinfo=UTC)
    account = Account(expires_on=date(2026, 3, 16))
    assert {
        zone: resolve_status(account, calendar_day(now, ZoneInfo(zone)))
        for zone in ("Etc/GMT+12", "Etc/UTC", "Pacific/Kiritimati")
    } == {
        "Etc/GMT+12": Status.ACTIVATED,
        "Etc/UTC": Status.ACTIVATED,
        "Pacific/Kiritimati": Status.EXPIRED,
    }
    assert calendar_day(now, ZoneInfo("Etc/GMT+12")) == date(2026, 3, 15)


@given(instants, zones, zones)
def test_calendar_day_depends_only_on_the_instant(
    now: datetime, time_zone: ZoneInfo, written_in: ZoneInfo
) -> None:
    assert calendar_day(now.astimezone(written_in), time_zone) == calendar_day(now, time_zone)


@given(instants, instants, zones)
def test_calendar_day_never_goes_back(one: datetime, other: datetime, time_zone: ZoneInfo) -> None:
    now, later = sorted((one, other))
    assert calendar_day(now, time_zone) <= calendar_day(later, time_zone)
