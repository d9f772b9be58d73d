"""UUIDv7 (RFC 9562 section 5.7), made in Python and by either database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, literal, select, union_all

from app.platform.ids import derive_id, instant_of, new_id, new_ids, parse_id, timestamp_parameter
from tests.support.service import NOON, Service

instants = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def is_version_7(identifier: str) -> bool:
    """Return whether the id is canonical, of version 7 and of the RFC's variant."""
    return str(UUID(identifier)) == identifier and UUID(identifier).version == 7


@given(instants)
def test_id_contains_its_instant_to_the_millisecond(instant: datetime) -> None:
    identifier = new_id(instant)
    assert is_version_7(identifier)
    assert instant_of(identifier) == instant - timedelta(microseconds=instant.microsecond % 1000)


@given(instants, instants)
def test_ids_sort_by_instant(one: datetime, other: datetime) -> None:
    if abs(one - other) >= timedelta(milliseconds=1):
        assert (new_id(one) < new_id(other)) is (one < other)


def test_id_does_not_depend_on_time_zone() -> None:
    zone = datetime.now(UTC).astimezone().tzinfo
    assert new_id(NOON.astimezone(zone))[:13] == new_id(NOON)[:13]


def test_ids_of_one_instant_differ_and_increase() -> None:
    made = [new_id(NOON) for _ in range(10_000)]
    assert made == sorted(set(made))
    assert all(map(is_version_7, made))


def test_ids_made_in_several_threads_differ() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_id(NOON), range(10_000)))
    assert len(set(made)) == 10_000


@given(instants, st.integers(1, 4095))
def test_derived_id_is_a_uuid7_with_the_instant(instant: datetime, number: int) -> None:
    base = new_id(NOON)
    derived = derive_id(instant, base, number)
    assert is_version_7(derived)
    assert derived[:13] == new_id(instant)[:13]
    assert derived == derive_id(instant, base, number)
    assert derived not in {derive_id(instant, base, number - 1), derive_id(instant, new_id(NOON), number)}


@given(st.uuids())
def test_id_is_parsed_in_any_case(identifier: UUID) -> None:
    assert parse_id(str(identifier)) == parse_id(str(identifier).upper()) == str(identifier)


@given(st.text(max_size=40))
def test_text_that_is_not_a_uuid_is_not_an_id(text: str) -> None:
    assert parse_id(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "019a8c5e7c1f7d559b0e3f6f3b0c2a11",
        "{019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11}",
        "urn:uuid:019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11",
        " 019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11",
        "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11\n",
        "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a1g",
        "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a1\x00",
        "\uff1019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a1",
    ],
)
def test_other_forms_of_a_uuid_are_not_ids(text: str) -> None:
    assert parse_id(text) is None


@pytest.mark.anyio
async def test_database_makes_a_new_id_for_each_row_in_their_order(service: Service) -> None:
    instant = NOON + timedelta(microseconds=123_456)
    each = [*range(400), 4095, 4096, 1_000_000, 2**24 - 1]
    numbers = union_all(*(select(literal(number, BigInteger).label("number")) for number in each)).subquery()
    statement = select(new_ids(numbers.c.number)).order_by(numbers.c.number)
    async with service.database.read() as connection:
        made = (await connection.execute(statement, timestamp_parameter(instant))).scalars().all()
    assert list(made) == sorted(set(made))
    assert len(made) == len(set(each))
    assert all(map(is_version_7, made))
    assert {instant_of(each) for each in made} == {NOON + timedelta(milliseconds=123)}
