"""Faults of the settings, the database or the organization are reported in one line."""

import os
import pwd
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from app.cli.environment import get_actor
from tests.support.command_line import ROSTER
from tests.support.postgres import PostgresServer
from tests.support.processes import ended, environment, find_free_port, fork, query, rollcall
from tests.support.service import Api

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("command", ["organizations list", "serve --port {port}", "migrate"])
def test_unreachable_database_is_one_line(command: str) -> None:
    port = find_free_port()
    call = command.format(port=port).split()

    complaint = rollcall(*call, database_url=f"postgresql://rollcall@127.0.0.1:{port}/rollcall").complaint

    assert complaint.startswith("cannot use the database: ")
    assert str(port) in complaint


def test_missing_postgresql_database_is_named(postgres: PostgresServer) -> None:
    assert "nowhere" in rollcall("keys", "list", database_url=postgres.url("nowhere")).complaint


def test_file_that_is_not_a_database_is_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER)

    assert "not a database" in rollcall("keys", "list", database_url=f"sqlite:///{file}").complaint
    assert file.read_text() == ROSTER


ON_EXISTING_DATABASES = (
    ["import", "-"],
    ["export"],
    ["operations", "list"],
    ["operations", "revert", "x"],
    ["learners", "show", "x"],
    ["learners", "deactivate", "x"],
    ["organizations", "list"],
    ["organizations", "create", "acme", "--name", "Acme", "--time-zone", "UTC"],
    ["organizations", "edit", "acme", "--name", "Acme"],
    ["keys", "list"],
    ["keys", "create", "x", "--scope", "admin"],
)


@pytest.mark.parametrize("command", ON_EXISTING_DATABASES, ids=" ".join)
def test_missing_sqlite_file_is_named_and_not_created(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "folder" / "rollcall.db"

    complaint = rollcall(*command, database_url=f"sqlite:///{file}").complaint

    assert complaint == (
        f"there is no database {file}. Check ROLLCALL_DATABASE_URL. To set up a new database, run: rollcall migrate"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["keys", "create", "x", "--scope", "admin"], ["export"]], ids=" ".join)
def test_database_that_is_not_set_up_stays_empty(
    command: list[str], postgres: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "empty.db").touch()
    urls = (f"sqlite:///{tmp_path}/empty.db", postgres.create_database(f"rollcall_not_set_up_{command[0]}"))
    for url in urls:
        assert "is not set up for Rollcall. Check ROLLCALL_DATABASE_URL." in (
            rollcall(*command, database_url=url).complaint
        )
        tables = "sqlite_master" if url.startswith("sqlite") else "pg_tables WHERE schemaname = 'public'"
        assert query(url, f"SELECT count(*) FROM {tables}") == [(0,)]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "database_url",
            "mysql://rollcall@db/rollcall",
            "use sqlite:///path/to/rollcall.db or postgresql://user@host/name",
        ),
        ("database_url", "rollcall.db", "use sqlite:///path/to/rollcall.db or postgresql://user@host/name"),
        ("database_url", "sqlite://", "needs a file"),
        ("database_pool_size", "many", "Must be a whole number."),
        ("database_pool_size", "3", "Must be between 8 and 200."),
        ("log_level", "loud", "'info'"),
        ("shutdown_seconds", "-1", "Must be 0 or more."),
    ],
)
def test_invalid_setting_names_its_variable(name: str, value: str, said: str) -> None:
    settings: dict[str, Any] = {name: value}
    complaint = rollcall("organizations", "list", **settings).complaint

    assert complaint.startswith(f"ROLLCALL_{name.upper()}: ")
    assert said in complaint


def test_all_invalid_settings_are_named_at_once() -> None:
    complaint = rollcall("serve", log_level="loud", max_import_bytes="lots").complaint

    assert "ROLLCALL_LOG_LEVEL: " in complaint
    assert "ROLLCALL_MAX_IMPORT_BYTES: " in complaint


@pytest.mark.parametrize(
    "command",
    [
        ["keys", "list"],
        ["keys", "create", "x", "--scope", "admin"],
        ["keys", "revoke", "x"],
        ["import", "-"],
        ["export"],
        ["operations", "list"],
        ["operations", "show", "x"],
        ["operations", "cancel", "x"],
        ["operations", "revert", "x"],
        ["learners", "show", "x"],
        ["learners", "activate", "x"],
    ],
    ids=" ".join,
)
async def test_unknown_organization_says_how_to_list_them(api: Api, command: list[str]) -> None:
    wrong = partial(rollcall, *command, "--organization", "nobody", database_url=api.service.url)

    complaint = (await to_thread.run_sync(wrong)).complaint

    assert complaint == (
        "there is no organization 'nobody'. List them with `rollcall organizations list`, or create one with "
        "`rollcall organizations create`."
    )


async def test_history_names_the_account_of_the_process(api: Api, tmp_path: Path) -> None:
    account = pwd.getpwuid(os.getuid()).pw_name
    learner = await api.create(username="a.okafor")
    variables = environment(api.service.url) | dict.fromkeys(
        ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"), "ceo@example.org"
    )
    call = ["learners", "deactivate", learner["id"], "--organization", api.organization.slug]

    process = fork(call, variables, tmp_path / "output", tmp_path / "errors")
    assert await to_thread.run_sync(ended, process) == 0

    [event, _] = await api.events(learner)
    assert event["actor"] == {"kind": "command-line", "id": None, "name": account}


def test_account_without_a_name_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)

    assert get_actor().name == "uid 4000000000"
