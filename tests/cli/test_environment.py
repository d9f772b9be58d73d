"""Faults of the settings, the database or the organization are reported in one line."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from tests.support.command_line import ROSTER
from tests.support.postgres import PostgresServer
from tests.support.processes import find_free_port, rollcall
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
