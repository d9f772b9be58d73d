"""Accounts for the tests of the rules: each cell of a table, and any at all.

The tables are plain text, so that they can be read beside the law that they repeat.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from app.domain.status import Account

TODAY = date(2026, 3, 16)
YESTERDAY = TODAY - timedelta(days=1)
TOMORROW = TODAY + timedelta(days=1)
NOW = datetime(2026, 3, 16, 10, 30, tzinfo=UTC)
DEACTIVATED_AT = datetime(2026, 2, 2, 9, 0, tzinfo=UTC)
ACCESSED_AT = datetime(2025, 9, 1, 8, 15, tzinfo=UTC)

DATES = {"never": None, "yesterday": YESTERDAY, "today": TODAY, "tomorrow": TOMORROW}
FACTS = {
    "new": Account(),
    "accessed": Account(first_accessed_at=ACCESSED_AT),
    "new-deactivated": Account(deactivated_at=DEACTIVATED_AT, sessions_valid_from=DEACTIVATED_AT),
    "accessed-deactivated": Account(
        first_accessed_at=ACCESSED_AT, deactivated_at=DEACTIVATED_AT, sessions_valid_from=DEACTIVATED_AT
    ),
}
ACCOUNTS = {
    f"{facts}/{day}": account._replace(expires_on=expires_on)
    for facts, account in FACTS.items()
    for day, expires_on in DATES.items()
}


def cells(table: str) -> dict[str, str]:
    """The cells of a table whose rows are all of FACTS and whose columns are all of DATES."""
    header, *rows = [line.split() for line in table.strip().splitlines()]
    found = {f"{row[0]}/{day}": cell for row in rows for day, cell in zip(header, row[1:], strict=True)}
    assert found.keys() == ACCOUNTS.keys(), "a table has a row for all facts and a column for all dates"
    return found


# Years that every time zone of the tests has rules for, with leap days and a century without one.
days = st.dates(date(1996, 1, 1), date(2104, 12, 31))
instants = st.datetimes(datetime(1996, 1, 1), datetime(2104, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.sampled_from(
    [
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Etc/GMT+12",
        "Europe/Berlin",
        "Pacific/Apia",
        "Pacific/Kiritimati",
    ]
).map(ZoneInfo)
accounts = st.builds(
    Account,
    deactivated_at=st.none() | instants,
    first_accessed_at=st.none() | instants,
    expires_on=st.none() | days,
    sessions_valid_from=st.none() | instants,
)
with_access = st.builds(
    lambda account, today, days_left: (
        account._replace(
            deactivated_at=None,
            expires_on=None if days_left is None else today + timedelta(days=days_left),
        ),
        today,
    ),
    accounts,
    days,
    st.none() | st.integers(0, 400),
)
expired = st.builds(
    lambda account, today, days_ago: (account._replace(expires_on=today - timedelta(days=days_ago)), today),
    accounts,
    days,
    st.integers(1, 400),
)
