"""Logs have one line per request, with its id and without personal data."""

import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.platform.logging import configure_logging, get_logger
from tests.support.logs import Lines
from tests.support.service import Api

pytestmark = pytest.mark.anyio

PERSONAL = ("Okafor", "okafor", "Adaeze", "HR-1003", "example.org", "contract", "Žofie")


def requests(logged: Lines) -> list[dict[str, Any]]:
    """Return the lines of requests."""
    return [line for line in logged() if line["event"] == "request"]


async def test_request_is_logged_with_id_route_and_key(api: Api, logged: Lines) -> None:
    answer = await api.client.get("/learners?limit=7", headers={"X-Request-ID": "my-request"})
    (line,) = requests(logged)
    assert line["duration_ms"] > 0
    assert line["timestamp"].endswith("Z")
    me = (await api.client.get("/me")).json()
    assert {name: line[name] for name in line.keys() - {"duration_ms", "timestamp"}} == {
        "event": "request",
        "level": "info",
        "logger": "rollcall.http",
        "request_id": "my-request",
        "method": "GET",
        "route": "/learners",
        "status": answer.status_code,
        "organization": api.organization.slug,
        "api_key": me["actor"]["id"],
    }


async def test_anonymous_request_is_logged_without_organization(api: Api, logged: Lines) -> None:
    await api.client.get("/me")
    async with api.service.client() as client:
        await client.get("/learners/019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11")
        await client.get("/a-path-with-a-name/Okafor")
        await client.request("OKAFOR", "/learners")
    _, refused, unknown, method = requests(logged)
    assert (refused["route"], refused["status"]) == ("/learners/{learner_id}", 401)
    assert (unknown["route"], unknown["status"]) == ("unmatched", 404)
    assert (method["method"], method["status"]) == ("other", 405)
    assert not {"organization", "api_key"} & (refused.keys() | unknown.keys() | method.keys())


async def test_probes_are_logged_at_debug_level(api: Api, logged: Lines) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        await api.client.get(path)
    assert {line["level"] for line in requests(logged)} == {"debug"}


async def test_debug_log_has_no_personal_data(api: Api, logged: Lines) -> None:
    client = api.client
    learner = await api.create(
        username="a.okafor",
        email="a.okafor@example.org",
        first_name="Adaeze",
        last_name="Okafor",
        external_id="HR-1003",
    )
    await client.get("/learners", params={"q": "Okafor", "email": "a.okafor@example.org"})
    await client.get("/learners", params={"Okafor": "Adaeze"})
    await client.get("/learners", headers={"Accept": "text/csv"})
    await client.get("/access", params={"username": "a.okafor"})
    await client.get("/learners/a.okafor")
    await client.get("/people/a.okafor")
    await client.post("/learners", json={"username": "A.OKAFOR"})
    await client.post("/learners", json={"username": "Okafor", "Adaeze": 1})
    await client.post(
        "/learners", content=b'{"username": "Okafor', headers={"Content-Type": "application/json"}
    )
    await client.post(f"/learners/{learner['id']}/deactivate", json={"reason": "contract ended, Okafor"})
    await client.post(
        "/learners", json={"username": "Okafor2"}, headers={"Idempotency-Key": "Okafor", "X-Request-ID": "r"}
    )
    await client.post(
        "/learners/bulk-actions",
        json={"action": "activate", "selection": {"usernames": ["a.okafor", "Žofie"]}, "reason": "contract"},
    )
    await api.import_csv(
        "Username,First Name,Active\na.okafor,Žofie,Maybe\nOkafor3,Adaeze,Yes\n", reason="contract"
    )
    await client.post("/imports/csv", content=b"<html>Okafor</html>", headers={"Content-Type": "text/csv"})
    operations = (await client.get("/operations")).json()["items"]
    await client.get(f"/operations/{operations[0]['id']}/outcomes", headers={"Accept": "text/csv"})

    lines = logged()
    assert len(lines) >= 17
    for line in lines:
        assert not any(each in str(line) for each in PERSONAL), line


async def test_log_has_no_credentials(api: Api, logged: Lines) -> None:
    issued = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["admin"]})).json()
    async with api.service.client(issued["secret"]) as client:
        await client.get("/me")
        await client.get("/me", headers={"Authorization": f"Basic {issued['secret']}"})
        await client.get(f"/learners/{issued['secret']}")
    assert issued["secret"][20:] not in str(logged())


async def test_exception_is_logged_without_its_message(
    api: Api, logged: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(connection: Any, *_arguments: object, **_options: object) -> None:
        # The driver's message about a broken constraint quotes the row.
        await connection.execute(
            text("INSERT INTO organizations (public_id, slug) VALUES (:id, :slug)"),
            {"id": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11", "slug": "Okafor"},
        )

    monkeypatch.setattr("app.learners.service.create_learner", fail)
    answer = await api.client.post("/learners", json={"username": "a.okafor", "last_name": "Okafor"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "Okafor" not in answer.text
    (fault,) = (line for line in logged() if line["level"] == "error")
    assert (fault["event"], fault["route"]) == ("request failed", "/learners")
    assert fault["request_id"] == answer.json()["instance"]
    code = "SQLITE_CONSTRAINT_NOTNULL" if api.service.database.is_sqlite else "23502"
    assert f"sqlalchemy.exc.IntegrityError ({code})" in fault["exception"]
    assert "router.py" in fault["exception"]
    assert not any(each in str(fault) for each in PERSONAL)


def test_console_log_has_no_local_variables(logged: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    del logged  # restores the logging configuration afterwards
    configure_logging("console", "info")
    password = "hunter2"

    def fail() -> None:
        raise ValueError(password)

    try:
        fail()
    except ValueError:
        get_logger("rollcall.test").exception("it failed")
    written = capsys.readouterr().err
    assert "it failed" in written
    assert "ValueError" in written
    assert "hunter2" not in written


def test_causes_of_an_exception_are_logged(logged: Lines) -> None:
    name = "Okafor"

    def fail() -> None:
        try:
            dict[str, str]()[name]
        except KeyError as error:
            raise ValueError(name) from error

    try:
        fail()
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    (line,) = logged()
    assert line["exception"].index("builtins.KeyError") < line["exception"].index("builtins.ValueError")
    assert "in fail" in line["exception"]
    assert "Okafor" not in str(line)


def test_system_error_is_logged_with_its_code(logged: Lines, tmp_path: Path) -> None:
    file = tmp_path / "Okafor"
    try:
        file.read_text()
    except OSError:
        get_logger("rollcall.test").exception("it failed")
    (line,) = logged()
    assert line["exception"].endswith("builtins.FileNotFoundError (ENOENT)")
    assert "Okafor" not in str(line)


def test_libraries_do_not_log_at_debug_level(logged: Lines) -> None:
    logging.getLogger("aiosqlite").debug("executing %s", ("Okafor",))
    logging.getLogger("rollcall.some").debug("ours")
    logging.getLogger("some.library").info("theirs")
    assert [line["event"] for line in logged()] == ["ours", "theirs"]


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_log_level_is_that_of_the_settings(
    logged: Lines, capsys: pytest.CaptureFixture[str], level: str, heard: list[str]
) -> None:
    del logged
    configure_logging("json", level)
    logger = get_logger("rollcall.levels")
    for name in ("debug", "info", "warning", "error"):
        getattr(logger, name)(name)
    assert [
        line.split('"event": "')[1].split('"')[0] for line in capsys.readouterr().err.splitlines()
    ] == heard
