"""Cursors return their position. Any other text is invalid."""

import base64
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from fastapi import Request, Response
from hypothesis import given
from hypothesis import strategies as st

from app.platform.paging import decode_cursor, encode_cursor, link_next
from app.platform.problems import Problem

positions = st.lists(
    st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    max_size=4,
)
queries = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=4),
    max_leaves=8,
)


def kinds_of(position: list[Any]) -> tuple[type, ...]:
    return tuple(map(type, position))


def assert_refused(query: object, cursor: str, kinds: tuple[type, ...]) -> None:
    with pytest.raises(Problem) as raised:
        decode_cursor(query, cursor, kinds)
    assert raised.value.type.code == "invalid-cursor"


@given(query=queries, position=positions)
def test_cursor_returns_its_position(query: object, position: list[Any]) -> None:
    cursor = encode_cursor(query, position)
    assert decode_cursor(query, cursor, kinds_of(position)) == position
    assert cursor.isascii()
    assert not set(cursor) & set("=+/&?# ")


@given(query=queries, other=queries, position=positions)
def test_cursor_of_another_query_is_invalid(query: object, other: object, position: list[Any]) -> None:
    if orjson.dumps(query, option=orjson.OPT_SORT_KEYS) != orjson.dumps(other, option=orjson.OPT_SORT_KEYS):
        assert_refused(other, encode_cursor(query, position), kinds_of(position))


def test_order_of_query_members_does_not_matter() -> None:
    cursor = encode_cursor({"a": 1, "b": [2]}, ["x"])
    assert decode_cursor({"b": [2], "a": 1}, cursor, (str,)) == ["x"]


@given(position=positions, other=positions)
def test_altered_cursor_is_invalid(position: list[Any], other: list[Any]) -> None:
    packed = encode_cursor("query", position)
    fingerprint, _ = orjson.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    forged = base64.urlsafe_b64encode(orjson.dumps([fingerprint, other])).rstrip(b"=").decode()
    if other == position:
        assert decode_cursor("query", forged, kinds_of(other)) == position
    else:
        assert_refused("query", forged, kinds_of(other))


@given(position=positions, kinds=st.lists(st.sampled_from([str, int, bool, float]), max_size=4))
def test_cursor_with_other_types_is_invalid(position: list[Any], kinds: list[type]) -> None:
    if kinds_of(position) != tuple(kinds):
        assert_refused("query", encode_cursor("query", position), tuple(kinds))


@given(st.text(max_size=60))
def test_other_text_is_invalid_cursor(cursor: str) -> None:
    assert_refused("query", cursor, (str,))


@given(st.binary(max_size=60))
def test_other_bytes_are_invalid_cursor(packed: bytes) -> None:
    assert_refused("query", base64.urlsafe_b64encode(packed).rstrip(b"=").decode(), (str,))


@given(st.recursive(st.none() | st.integers() | st.text("ab"), st.lists, max_leaves=6))
def test_other_json_is_invalid_cursor(content: Any) -> None:
    try:
        packed = orjson.dumps(content)
    except TypeError:
        return  # beyond 64 bits
    assert_refused("query", base64.urlsafe_b64encode(packed).rstrip(b"=").decode(), (str,))


def test_missing_cursor_gives_no_position() -> None:
    assert decode_cursor("query", None, (str,)) is None


def request_for(path: str, query: str, root_path: str = "") -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "root_path": root_path,
            "query_string": query.encode(),
            "headers": [(b"host", b"rollcall.test")],
            "scheme": "http",
            "server": ("rollcall.test", 80),
        }
    )


def next_link(request: Request, cursor: str | None) -> str | None:
    response = Response()
    link_next(request, response, cursor)
    return response.headers.get("Link")


def test_next_link_repeats_the_request_with_the_next_cursor() -> None:
    link = next_link(
        request_for("/learners", "status=active&q=a%26b&status=expired&cursor=old&limit=2"), "new"
    )
    assert link is not None
    assert link.endswith('>; rel="next"')
    parts = urlsplit(link[1 : link.index(">")])
    assert parts.path == "/learners"
    assert parse_qsl(parts.query) == [
        ("status", "active"),
        ("q", "a&b"),
        ("status", "expired"),
        ("limit", "2"),
        ("cursor", "new"),
    ]


def test_last_page_has_no_link() -> None:
    assert next_link(request_for("/learners", "limit=2"), None) is None


def test_next_link_keeps_the_root_path() -> None:
    # A server adds the root path to the path (ASGI). A proxy may have removed it.
    for path in ("/rollcall/learners", "/learners"):
        assert (
            next_link(request_for(path, "", "/rollcall"), "c") == '</rollcall/learners?cursor=c>; rel="next"'
        )


def test_next_link_is_a_valid_header_for_any_query() -> None:
    link = next_link(request_for("/learners", "q=%C3%BC%0D%0AX-Evil%3A%201"), "c")
    assert link is not None
    assert link.isascii()
    assert link.isprintable()
