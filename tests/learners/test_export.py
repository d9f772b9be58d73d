"""The list as CSV: which `Accept` asks for it, what it contains, and that it imports back unchanged."""

import csv
import io
import re
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import InvalidValue
from app.domain.profile import clean_external_id, clean_name, clean_username
from app.learners import service
from app.learners.dependencies import EXPORTS
from app.learners.wish import Wish
from tests.support.answers import pointers, problem
from tests.support.examples import limit_examples
from tests.support.learner_rows import CAUSE
from tests.support.rosters import walk
from tests.support.service import NOON, Api

pytestmark = pytest.mark.anyio

HEADER = ["Username", "External ID", "Email", "First Name", "Last Name", "Active", "Expiration Date"]
TODAY = NOON.date()
# Names that a spreadsheet would compute, and others that a careless CSV writer or reader would spoil.
TRICKY = [
    "=HYPERLINK(1)",
    "+49 30",
    "-dash",
    "@home",
    "'quoted",
    "'=guarded",
    "''=twice",
    'say "hi", then; go | away',
    '"',
    "'",
    "ends with \\",
    "Özil",
    "山田",
    "Yes",
    "never",
    "2026-11-02",
    "NULL",
    "0017",
    "x;=1+1;",
    "x,+1",
    "x| @a",
    "'x;'=1",
    "＝1+1",  # noqa: RUF001
    "；＝1",  # noqa: RUF001
]
# What a spreadsheet may run.
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")  # noqa: RUF001


async def export(api: Api, **params: Any) -> str:
    answer = await api.client.get("/learners", params=params, headers={"Accept": "text/csv"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return answer.text


def rows_of(text: str) -> list[Any]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


async def test_export_has_every_match_in_the_columns_of_an_import(api: Api) -> None:
    await api.create(
        username="b.full",
        external_id="HR-1",
        email="b@example.org",
        first_name="Ada",
        last_name="Okafor",
        expires_on=TODAY.isoformat(),
    )
    await api.create(username="A.bare")
    gone = await api.create(username="c.gone", last_name="Özil, the second")
    await api.client.post(f"/learners/{gone['id']}/deactivate")
    entered = await api.create(username="d.entered")
    await api.client.post(f"/learners/{entered['id']}/access")
    late = await api.create(username="e.late", expires_on="2026-11-01")
    await api.client.post(f"/learners/{late['id']}/deactivate")
    text = await export(api)
    assert text == (
        "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\r\n"
        "A.bare,,,,,Yes,\r\n"
        "b.full,HR-1,b@example.org,Ada,Okafor,Yes,2026-11-02\r\n"
        'c.gone,,,,"Özil, the second",No,\r\n'
        "d.entered,,,,,Yes,\r\n"
        "e.late,,,,,,2026-11-01\r\n"
    )
    api.service.clock.advance(days=1)
    assert rows_of(await export(api))[2][5:] == ["", "2026-11-02"]


async def test_export_has_a_file_name_and_no_link(api: Api) -> None:
    for number in range(4):
        await api.create(username=f"m{number}")
    answer = await api.client.get("/learners", params={"limit": 2}, headers={"Accept": "text/csv"})
    assert len(rows_of(answer.text)) == 1 + 4
    assert answer.headers["Content-Disposition"] == 'attachment; filename="learners.csv"'
    assert "Link" not in answer.headers


async def test_export_uses_the_filter_and_the_order_of_the_list(api: Api) -> None:
    for number in range(6):
        api.service.clock.advance(seconds=1)
        learner = await api.create(username=f"m{number}", last_name=f"Name {number % 2}")
        if number > 2:
            await api.client.post(f"/learners/{learner['id']}/deactivate")
    for params in (
        {"status": ["deactivated"], "sort": "-created_at"},
        {"q": "name 1", "sort": "last_name"},
        {"sort": "-username"},
        {"username": "M4"},
        {"q": "nobody"},
    ):
        listed = [learner["username"] for learner in await walk(api, limit=2, **params)]
        assert [row[0] for row in rows_of(await export(api, **params))] == ["Username", *listed]
    answer = await api.client.get("/learners", params={"statsu": "active"}, headers={"Accept": "text/csv"})
    assert pointers(problem(answer, 422, "invalid-request")) == ["?statsu"]


async def test_exported_cells_never_run_as_formulas(api: Api) -> None:
    for number, text in enumerate(TRICKY):
        await api.create(username=f"{text} {number}", first_name=text, last_name=text, external_id=text)
    text = await export(api)
    _, *rows = rows_of(text)
    assert len(rows) == len(TRICKY)
    for delimiter in ",;\t|":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            assert not any(FORMULA.match(cell) for cell in row), (delimiter, row)
    assert sorted(row[1] for row in rows if row[1].startswith("'")) == sorted(
        [
            "'=HYPERLINK(1)",
            "'+49 30",
            "'-dash",
            "'@home",
            "'quoted",
            "''=guarded",
            "'''=twice",
            "'",
            "'x;'=1+1;",
            "'x,'+1",
            "'x|' @a",
            "''x;''=1",
            "'＝1+1",  # noqa: RUF001
        ]
    )
    assert ",\"'x;'=1+1;\"," in text


async def test_export_imports_back_unchanged(api: Api) -> None:
    for number, text in enumerate(TRICKY):
        learner = await api.create(
            username=f"{text} {number}",
            first_name=text,
            last_name=text[::-1],
            external_id=text,
            email=f"{text.replace(' ', '').replace('@', '+')}@example.org",
            expires_on=[None, "2026-11-01", "2026-11-02"][number % 3],
        )
        if number % 2:
            await api.client.post(f"/learners/{learner['id']}/deactivate")
    before = await walk(api, limit=1000)
    exported = await export(api)
    operation = await api.import_csv(exported)
    assert operation["counts"] == dict.fromkeys(operation["counts"], 0) | {"unchanged": len(TRICKY)}
    assert operation["warnings"] == []
    assert await walk(api, limit=1000) == before
    assert await export(api) == exported


FAVOURITES = "=+-@＝－'\"`,;|\\ \N{NO-BREAK SPACE}#éaZ0山😀"  # noqa: RUF001


def texts(clean: Any, favourites: Any) -> Any:
    """Texts as this cleaner returns them."""

    def clean_or_none(text: str) -> Any:
        try:
            return clean(text)
        except InvalidValue:
            return None

    characters = st.sampled_from(favourites) | st.characters(exclude_categories=["C"])
    return st.text(characters, min_size=1, max_size=12).map(clean_or_none).filter(bool)


usernames, names = texts(clean_username, FAVOURITES), texts(clean_name, FAVOURITES + "\ufeff")
external_ids = texts(clean_external_id, FAVOURITES)
days = st.none() | st.dates() | st.sampled_from([TODAY - timedelta(days=1), TODAY])
people = st.tuples(usernames, st.none() | external_ids, st.none() | names, days, st.booleans())
_numbers = count(1)


@limit_examples(30)
@given(drawn=st.lists(people, min_size=1, max_size=5))
async def test_export_of_any_learners_imports_back_unchanged(api: Api, drawn: Any) -> None:
    organization_id = api.organization.id

    async def store(connection: AsyncConnection) -> None:
        for username, external_id, name, expires_on, is_deactivated in drawn:
            number = next(_numbers)
            profile = {
                "username": f"{username}{number}",
                "external_id": external_id and f"{external_id}{number}",
                "first_name": name,
                "last_name": username,
            }
            learner = await service.create_learner(
                connection, organization_id, Wish(profile, expires_on), CAUSE
            )
            if is_deactivated:
                await service.change_learner(
                    connection, organization_id, learner.id, Wish(is_active=False), expected=None, cause=CAUSE
                )

    await api.service.database.write(store)
    before = await walk(api, limit=1000)
    operation = await api.import_csv(await export(api))
    outcomes = await api.outcomes(operation)
    assert [outcome for outcome in outcomes if outcome["outcome"] != "unchanged"] == []
    assert len(outcomes) == len(before)
    assert await walk(api, limit=1000) == before


class TestNegotiation:
    @pytest.mark.parametrize(
        "accept",
        [
            "text/csv",
            "TEXT/CSV",
            "text/csv; charset=utf-8",
            "text/*",
            "application/json;q=0.4, text/csv;q=0.5",
            "text/csv, application/json;q=0.9",
            "application/json;q=0, */*",
            "text/html, text/csv",
            "*/*;q=0.1, text/csv",
        ],
    )
    async def test_accept_headers_that_choose_csv(self, api: Api, accept: str) -> None:
        answer = await api.client.get("/learners", headers={"Accept": accept})
        assert answer.headers["Content-Type"].startswith("text/csv")

    @pytest.mark.parametrize(
        "accept",
        [
            "",
            "*/*",
            "application/json",
            "application/*",
            "text/csv;q=0.5, application/json",
            "text/csv;q=0.5, application/json;q=0.5",
            "text/csv;q=0, */*;q=0.1",
            "text/html, application/xhtml+xml, */*;q=0.8",
            "text/csv;q=0.2, */*",
        ],
    )
    async def test_accept_headers_that_choose_json(self, api: Api, accept: str) -> None:
        answer = await api.client.get("/learners", headers={"Accept": accept})
        assert answer.json() == {"items": [], "next_cursor": None}

    @pytest.mark.parametrize(
        "accept", ["image/png", "text/html", "text/csv;q=0", "application/xml, text/plain", "*/*;q=0", "csv"]
    )
    async def test_unknown_media_type_is_406(self, api: Api, accept: str) -> None:
        answer = await api.client.get("/learners", headers={"Accept": accept})
        document = problem(answer, 406, "not-acceptable")
        assert "text/csv" in document["detail"]
        assert "application/json" in document["detail"]


async def test_one_export_too_many_is_503_with_retry_after(api: Api) -> None:
    """Each export keeps a database connection while it streams. Exports must not use all connections."""
    await api.create(username="a.okafor")
    exports = EXPORTS.of(api.service.app)
    async with AsyncExitStack() as running:
        while not exports.locked():
            await running.enter_async_context(exports)
        answer = await api.client.get("/learners", headers={"Accept": "text/csv"})
        problem(answer, 503, "overloaded")
        assert int(answer.headers["Retry-After"]) > 0
        assert (await api.client.get("/learners")).status_code == 200
    assert len(rows_of(await export(api))) == 2
