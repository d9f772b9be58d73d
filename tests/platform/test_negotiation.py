"""Which media type a client prefers (RFC 9110 section 12.5.1)."""

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from app.platform.negotiation import CSV, JSON, choose_media_type
from app.platform.problems import Problem
from tests.support.service import Api

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def request_with(*accept: str) -> Request:
    headers = [(b"accept", each.encode("latin-1")) for each in accept]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers})


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("   ", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV", CSV),
        ("text/csv; charset=utf-8", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        (BROWSER, JSON),
        ("text/csv, application/json", JSON),  # equal weights: the first offer wins
        ("text/csv, application/json;q=0.9", CSV),
        ("application/json;q=0.5, text/csv;q=0.6", CSV),
        ("application/json;q=0.5,text/csv;q=0.4", JSON),
        ("text/csv;q=0, */*", JSON),
        ("*/*, application/json;q=0", CSV),
        ("*/*;q=0.1, text/csv", CSV),
        ("text/*;q=0.3, application/json;q=0.2", CSV),
        ("text/*;q=1, text/csv;q=0.1, application/json;q=0.5", JSON),  # the more specific range counts
        ("application/problem+json, text/csv", CSV),
        ("text/csv ; q=0.2 , application/json ; q=0.9", JSON),
        ("application/json;q=nonsense, text/csv;q=0.1", CSV),
        ("application/json;q=nan, text/csv;q=0.1", CSV),
        ("application/json;q=-1, text/csv;q=0.1", CSV),
        (",,text/csv,,", CSV),
    ],
)
def test_preferred_media_type_is_chosen(accept: str, chosen: str) -> None:
    assert choose_media_type(request_with(accept), (JSON, CSV)) == chosen


def test_first_media_type_is_chosen_without_header() -> None:
    assert choose_media_type(request_with(), (JSON, CSV)) == JSON
    assert choose_media_type(request_with(), (CSV, JSON)) == CSV


def test_repeated_accept_header_is_one_list() -> None:
    assert choose_media_type(request_with("application/json;q=0.1", "text/csv"), (JSON, CSV)) == CSV


@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        "application/xml",
        "text/html",
        "text/csv;q=0, application/json;q=0",
        "*/*;q=0",
        "nonsense",
        "text/csv," * 1000,
        "a/b," * 1_000_000,
        "a;" * 1_000_000,
        '"' * 1_000_000,
    ],
)
def test_media_type_that_is_not_offered_is_406(accept: str) -> None:
    with pytest.raises(Problem) as raised:
        choose_media_type(request_with(accept), (JSON, CSV))
    assert raised.value.type.code == "not-acceptable"
    assert "application/json or text/csv" in raised.value.detail
    assert len(raised.value.detail) < 1000


@given(st.text(st.characters(codec="latin-1"), max_size=60))
def test_any_accept_header_is_answered_or_406(accept: str) -> None:
    try:
        assert choose_media_type(request_with(accept), (JSON, CSV)) in (JSON, CSV)
    except Problem as problem:
        assert problem.type.status == 406  # noqa: PT017 - either is fine


@pytest.mark.anyio
async def test_list_has_the_requested_media_type(api: Api) -> None:
    await api.create()
    for accept, content_type in (("text/csv", "text/csv; charset=utf-8"), (BROWSER, "application/json")):
        answer = await api.client.get("/learners", headers={"Accept": accept})
        assert answer.headers["Content-Type"] == content_type
    answer = await api.client.get("/learners", headers={"Accept": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
