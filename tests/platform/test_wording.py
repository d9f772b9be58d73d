"""What is wrong with a request is said in plain sentences, which point to where it is."""

from typing import Any

import pytest

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
        (BULK, {"action": "x", "selection": EVERYONE}, "/action", "Must be 'activate' or 'deactivate'."),
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
async def test_what_a_member_takes_is_said(
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
        ("ids=a&ids=b", "ids", "An id is a UUID in its canonical form."),
        ("status=x&status=active", "status", STATUSES),
        (
            "status=active,expired",
            "status",
            f"{STATUSES} To send several values, repeat the parameter: status=…&status=….",
        ),
        (
            "ids=a,b",
            "ids",
            "An id is a UUID in its canonical form. To send several values, repeat the parameter: ids=…&ids=….",
        ),
        ("sort=username,created_at", "sort", "Must be 'username', '-username',"),
    ],
)
async def test_what_a_parameter_takes_is_said_once_under_its_name(
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
        (b'{"username": "a\\u0007"}', "/username", "Control characters are not allowed. Remove them."),
        (
            b'{"username": "\\ud800"}',
            "/username",
            "\\ud800 is half of a surrogate pair. Send the other half too, or remove it.",
        ),
    ],
)
async def test_why_a_body_cannot_be_read_is_said(api: Api, body: bytes, pointer: str, detail: str) -> None:
    problem = (await api.client.post("/learners", content=body, headers=JSON)).json()
    assert problem["errors"] == [{"pointer": pointer, "detail": detail}]
    assert detail in problem["detail"]
