"""The organization as a value: slug, time zone, calendar day and deactivation limit."""

from datetime import UTC, date, datetime
from zoneinfo import available_timezones

import pytest

from app.domain.errors import InvalidValue
from app.organizations.organization import (
    Organization,
    clean_max_deactivations,
    clean_slug,
    clean_time_zone,
    count_allowed,
)


def organization(time_zone: str) -> Organization:
    return Organization(1, "id", "academy", "Academy", time_zone, "20%", 14, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("slug", ["a", "7", "academy", "north-academy", "a--b", "x" * 63])
def test_valid_slug_is_accepted(slug: str) -> None:
    assert clean_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    ["", "-", "-a", "a-", "A", "Academy", "a b", "a_b", "ä", "a\n", "\na", "a/b", "a.b", "x" * 64, "\x00"],
)
def test_invalid_slug_is_refused(slug: str) -> None:
    with pytest.raises(InvalidValue, match="slug"):
        clean_slug(slug)


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Argentina/Buenos_Aires", "Etc/GMT+12"]
)
def test_iana_time_zone_is_accepted(name: str) -> None:
    assert clean_time_zone(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "europe/berlin",
        "Europe/Berlin ",
        "Berlin",
        "+01:00",
        "UTC+1",
        "../UTC",
        "/etc/localtime",
        "Europe",
        "Europe/Atlantis",
        "\x00",
        "localtime",
        "Factory",
        "posixrules",
    ],
)
def test_other_time_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="IANA"):
        clean_time_zone(name)


def test_every_zone_of_the_tz_database_is_accepted() -> None:
    names = sorted(available_timezones() - {"localtime", "Factory"})
    instant = datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)
    days = {organization(clean_time_zone(name)).today(instant) for name in names[::12]}
    assert days == {date(2026, 3, 28), date(2026, 3, 29)}


@pytest.mark.parametrize(
    ("time_zone", "today"),
    [
        ("UTC", date(2026, 11, 2)),
        ("Etc/GMT+12", date(2026, 11, 1)),  # twelve hours behind
        ("America/Los_Angeles", date(2026, 11, 1)),
        ("Europe/Berlin", date(2026, 11, 2)),
        ("Pacific/Kiritimati", date(2026, 11, 2)),
    ],
)
def test_today_is_the_calendar_day_in_the_time_zone(time_zone: str, today: date) -> None:
    assert organization(time_zone).today(datetime(2026, 11, 2, 6, 30, tzinfo=UTC)) == today


@pytest.mark.parametrize("value", ["0", "1", "250", "999999999", "0%", "5%", "2.5%", "99.99%", "100%"])
def test_number_or_percentage_is_a_valid_limit(value: str) -> None:
    assert clean_max_deactivations(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-1",
        "+5",
        "1.5",
        "5 %",
        " 5",
        "5\n",
        "101%",
        "100.01%",
        "5.123%",
        "%",
        "all",
        "\N{ARABIC-INDIC DIGIT FIVE}",
        "1e3",
        "1" * 10,
    ],
)
def test_invalid_limit_is_refused(value: str) -> None:
    with pytest.raises(InvalidValue, match="number"):
        clean_max_deactivations(value)


@pytest.mark.parametrize(
    ("limit", "learners", "allowed"),
    [
        ("0", 100, 0),
        ("250", 10, 250),
        ("0%", 100, 0),
        ("100%", 7, 7),
        ("20%", 4, 0),
        ("20%", 5, 1),
        ("20%", 9, 1),
        ("2.5%", 39, 0),
        ("2.5%", 40, 1),
        ("0.29%", 10_000, 29),  # as a binary fraction it would be 28.99
        ("33.33%", 3, 0),
        ("5%", 0, 0),
        ("99.99%", 1_000_000_000, 999_900_000),
    ],
)
def test_percentage_is_rounded_down(limit: str, learners: int, allowed: int) -> None:
    assert count_allowed(limit, learners) == allowed
