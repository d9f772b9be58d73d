"""Faults of a request are described in plain sentences that point to their place."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from app.main import create_app
from app.platform.wording import SENTENCES, sentence_for
from app.settings import Settings
from tests.support.service import Api

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}
BULK = "/learners/bulk-actions"
STATUSES = "Must be 'active', 'activated', 'deactivated' or 'expired'."
EVERYONE: dict[str, Any] = {"filter": {}}


@pytest.mark.parametrize(
    ("path", "body", "pointer", "detail"),
    [
        ("/learners", [], "", "Must be a JSON object."),
        ("/learners", {}, "/username", "This is required."),
        ("/learners", {"username": 7}, "/username", "Must be text."),
        (
            "/learners",
            {"username": "x", "a/b": 1},
            "/a~1b",
            "Unknown member. Check the spelling, or leave it out.",
        ),
        ("/learners", {"username": "x", "expires_on": 0}, "/expires_on", "Invalid date: use YYYY-MM-DD,"),
        (
            "/learners",
            {"username": "x", "expires_on": "2026-02-30"},
            "/expires_on",
            "This date does not exist: check the month and the day.",
        ),
        ("/api-keys", {"name": "x", "scopes": []}, "/scopes", "Must have at least 1 item."),
        ("/api-keys", {"name": "x", "scopes": ["admin"] * 21}, "/scopes", "Must have at most 20 items."),
        ("/api-keys", {"name": "x", "scopes": "admin"}, "/scopes", "Must be a list."),
        (
            "/api-keys",
            {"name": "x", "scopes": ["x"]},
            "/scopes/0",
            "Must be 'learners:read', 'learners:wr",
        ),
        (
            "/api-keys",
            {"name": "x", "scopes": ["admin"], "expires_at": "2027-13-01T00:00:00Z"},
            "/expires_at",
            "This time does not exist: check the date, the hour and the minute.",
        ),
        (
            BULK,
            {"action": "x", "selection": EVERYONE},
            "/action",
            "Must be 'activate', 'deactivate' or 'set-expiration'.",
        ),
        (BULK, {"action": "activate", "selection": 3}, "/selection", "Must be a JSON object."),
        (
            BULK,
            {"action": "activate", "selection": {"usernames": [""]}},
            "/selection/usernames/0",
            "Must have at least 1 character.",
        ),
        (
            BULK,
            {"action": "activate", "selection": EVERYONE, "dry_run": 1},
            "/dry_run",
            "Must be true or false.",
        ),
        (
            BULK,
            {"action": "activate", "selection": EVERYONE, "expected_count": -1},
            "/expected_count",
            "Must be between 0 and 9,007,199,254,740,991.",
        ),
        (
            BULK,
            {"action": "activate", "selection": EVERYONE, "reason": "x" * 1001},
            "/reason",
            "Must have at most 1000 characters.",
        ),
    ],
)
async def test_invalid_member_says_what_is_accepted(
    api: Api, path: str, body: object, pointer: str, detail: str
) -> None:
    (error,) = (await api.client.post(path, json=body)).json()["errors"]
    assert error["pointer"] == pointer
    assert error["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("query", "name", "detail"),
    [
        ("limit=x", "limit", "Must be a whole number."),
        ("limit=0", "limit", "Must be between 1 and 1,000."),
        ("limit=1001", "limit", "Must be between 1 and 1,000."),
        ("q=", "q", "Must have at least 1 character."),
        ("include=x", "include", "Must be 'total'."),
        ("ids=a&ids=b", "ids", "Invalid id: use a UUID, such as 019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11."),
        ("status=x&status=active", "status", STATUSES),
        (
            "status=active,expired",
            "status",
            f"{STATUSES} To send several values, repeat the parameter: status=…&status=….",
        ),
        (
            "ids=a,b",
            "ids",
            (
                "Invalid id: use a UUID, such as 019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11. "
                "To send several values, repeat the parameter: ids=…&ids=…."
            ),
        ),
        ("sort=username,created_at", "sort", "Must be 'username', '-username',"),
    ],
)
async def test_invalid_parameter_says_what_is_accepted_once(
    api: Api, query: str, name: str, detail: str
) -> None:
    (error,) = (await api.client.get(f"/learners?{query}")).json()["errors"]
    assert error["pointer"] == f"?{name}"
    assert error["detail"].startswith(detail)
    assert ("repeat the parameter" in error["detail"]) is ("repeat the parameter" in detail)


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (
            b"{",
            "",
            "The body is not valid JSON. A member name in double quotes is missing at character 2.",
        ),
        (b'{"username" "x"}', "", "The body is not valid JSON. A colon is missing at character 13."),
        (b'{"username": "\xff"}', "", "The body is not text in UTF-8: byte 15 cannot be read."),
        (b"[" * 100_000, "", "The body is nested too deeply."),
        (b"[" * 100_000 + b"]" * 100_000, "", "The body is nested too deeply."),
        (b'{"username": ' + b"1" * 5000 + b"}", "", "A number in the body has too many digits."),
        (
            b'{"username": "a\\u0007"}',
            "/username",
            "A username must not contain U+0007 (a control character). Remove it.",
        ),
        (
            b'{"username": "\\ud800"}',
            "/username",
            "A username must not contain U+D800 (half of a surrogate pair). Remove it.",
        ),
    ],
)
async def test_unreadable_body_says_why(api: Api, body: bytes, pointer: str, detail: str) -> None:
    problem = (await api.client.post("/learners", content=body, headers=JSON)).json()
    assert problem["errors"] == [{"pointer": pointer, "detail": detail}]
    assert detail in problem["detail"]


# Every error that pydantic can find in a request

# By the type of a core schema: the error types of a value without constraints.
ERRORS_OF_SCHEMAS: dict[str, set[str]] = {
    "bool": {"bool_type", "bool_parsing"},
    "date": {"date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"},
    "datetime": {
        "datetime_type",
        "datetime_parsing",
        "datetime_from_date_parsing",
        "datetime_object_invalid",
    },
    "dict": {"dict_type"},
    "enum": {"enum"},
    "int": {"int_type", "int_parsing", "int_parsing_size", "int_from_float", "finite_number"},
    "list": {"list_type"},
    "literal": {"literal_error"},
    "model": {"model_type"},
    "model-fields": {"missing", "extra_forbidden", "model_attributes_type"},
    "str": {"string_type", "string_unicode"},
    "tuple": {"tuple_type"},
    # These find nothing themselves: their parts and the service's own validators do.
    **{
        kind: set()
        for kind in ("default", "definitions", "definition-ref", "model-field", "nullable", "none")
    },
    **{kind: set() for kind in ("function-after", "function-before", "no-info", "with-info")},
}
ERRORS_OF_CONSTRAINTS = {
    ("str", "min_length"): "string_too_short",
    ("str", "max_length"): "string_too_long",
    ("list", "min_length"): "too_short",
    ("list", "max_length"): "too_long",
    ("tuple", "min_length"): "too_short",
    ("tuple", "max_length"): "too_long",
    ("int", "ge"): "greater_than_equal",
    ("int", "le"): "less_than_equal",
    ("datetime", "tz_constraint"): "timezone_aware",
}
# Values that people send by mistake.
MISTAKES: list[Any] = [
    *(None, True, 0, -1, 3.5, float("nan"), 10**400, "", "x", "x" * 5000, "1" * 5000, "1.5", "true", "\x00"),
    *("2026-02-30", "2026-13-01T00:00:00Z", "2026-10-31T25:00:00Z", "2026-10-31T09:00:00", "26-1-1", "NaN"),
    *([], [None], ["x"] * 10_001, [[]], {}, {"x": 1}, {"filter": {}, "ids": []}, b"\xff", date(2026, 2, 1)),
]


def fields_of(dependant: Dependant) -> Iterator[FieldInfo]:
    """Yield the fields that a route reads from a request."""
    for group in ("path_params", "query_params", "header_params", "cookie_params", "body_params"):
        yield from (each.field_info for each in getattr(dependant, group))
    for dependency in dependant.dependencies:
        yield from fields_of(dependency)


@pytest.fixture(scope="module")
def adapters() -> list[TypeAdapter[Any]]:
    """Return a validator for each field of each request, and for the settings."""
    app = create_app(Settings(database_url="sqlite:///unused/rollcall.db"))
    routes = (getattr(route, "dependant", None) for route in iter_route_contexts(app.routes))
    fields = [field for dependant in routes if dependant is not None for field in fields_of(dependant)]
    assert len(fields) > 50
    annotated: list[Any] = [Annotated[field.annotation, field] for field in fields]
    return [TypeAdapter(each) for each in (*annotated, Settings)]


def possible_errors(schema: Any) -> Iterator[str]:
    """Yield the error types that a core schema and its parts can find."""
    if isinstance(schema, Mapping):
        kind = schema.get("type")
        if isinstance(kind, str):
            yield from ERRORS_OF_SCHEMAS[kind]
            yield from (
                error for (of, name), error in ERRORS_OF_CONSTRAINTS.items() if of == kind and name in schema
            )
        for name, part in schema.items():
            if name not in ("serialization", "metadata", "config", "cls"):
                yield from possible_errors(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from possible_errors(part)


def test_every_possible_error_has_a_sentence(adapters: list[TypeAdapter[Any]]) -> None:
    possible = {error for adapter in adapters for error in possible_errors(adapter.core_schema)}
    assert possible - {*SENTENCES, "extra_forbidden"} == set()  # its sentence depends on the place


def test_no_sentence_contains_library_wording(adapters: list[TypeAdapter[Any]]) -> None:
    seen = set()
    for adapter in adapters:
        for mistake in MISTAKES:
            try:
                adapter.validate_python(mistake)
            except ValidationError as invalid:
                for error in invalid.errors():
                    sentence = sentence_for({**error, "loc": ("body", "member")})
                    seen.add(error["type"])
                    assert sentence.endswith("."), sentence
                    assert not re.search(r"[Vv]alue error|[Ii]nput|should|pars(e|ing)|instance|\{", sentence)
                    if error["type"] not in ("value_error", "out_of_range"):
                        assert error["msg"].rstrip(".") not in sentence
    assert {"missing", "extra_forbidden", "too_long", "string_too_long", "value_error", "enum"} < seen


def test_unknown_error_gets_a_general_sentence() -> None:
    error = {"type": "decimal_whole_digits", "loc": ("body", "x"), "input": 1, "msg": "Decimal input should"}
    assert sentence_for(error) == "This value is not valid."
