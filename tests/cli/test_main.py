"""The command `rollcall`: its help, and its answers to usage errors."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from app import __version__
from app.cli import main
from tests.support.processes import ROOT, Finished, rollcall


def commands() -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}

    def visit(command: Any, path: tuple[str, ...]) -> None:
        found[path] = command
        for name, each in getattr(command, "commands", {}).items():
            visit(each if path else main.load_command(name), (*path, name))

    visit(typer.main.get_command(main.commands), ())
    return found


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_help_describes_command_and_options(path: tuple[str, ...]) -> None:
    finished = rollcall(*path, "--help")

    assert finished.status == 0
    assert finished.stderr == ""
    command = commands()[path]
    assert str(command.help).splitlines()[0] in " ".join(finished.stdout.split())
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert parameter.help.split()[0] in finished.stdout


@pytest.mark.parametrize("name", main.COMMANDS)
def test_command_list_has_the_summary_of_each_command(name: str) -> None:
    _, summary = main.COMMANDS[name]

    assert commands()[name,].help.startswith(summary)
    assert f" {name} {summary}" in " ".join(rollcall("--help").stdout.split())


@pytest.mark.parametrize("call", [["--help"], ["--version"], ["improt"], ["keys", "--help"]])
def test_command_imports_only_what_it_needs(call: list[str]) -> None:
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "app.cli", *call],
        cwd=ROOT,
        capture_output=True,
        check=False,
        encoding="utf-8",
    ).stderr
    imported = {line.rpartition("|")[2].strip() for line in said.splitlines()}

    assert "typer" in imported
    assert not imported & {"fastapi", "uvicorn", "app.main"}
    assert ("sqlalchemy" in imported) == ("keys" in call)


def test_mistyped_command_gets_a_suggestion() -> None:
    assert "Did you mean 'import'?" in rollcall("improt").stderr


@pytest.mark.parametrize(
    ("path", "example"),
    [
        ("serve", "rollcall serve --port 8080"),
        ("migrate", "rollcall migrate"),
        ("organizations create", "--time-zone Europe/Berlin"),
        ("keys create", "| tail -n 1)"),
        ("import", "rollcall import roster.csv --dry-run"),
        ("export", "rollcall export -o learners.csv"),
        ("openapi", "rollcall openapi --format json"),
        ("operations show", "--outcome refused"),
        ("operations revert", "--dry-run"),
        ("learners show", "rollcall learners show --username a.okafor"),
        ("organizations edit", "--max-deactivations 5%"),
    ],
)
def test_help_shows_examples(path: str, example: str) -> None:
    assert example in rollcall(*path.split(), "--help").stdout


def test_version_is_that_of_the_package() -> None:
    assert rollcall("--version") == Finished(0, f"rollcall {__version__}\n", "")


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ([], "Usage"),
        (["improt", "roster.csv"], "improt"),
        (["import"], "file"),
        (["import", "roster.csv", "--dryrun"], "--dryrun"),
        (["import", "roster.csv", "--date-format", "us"], "'us'"),
        (["import", "roster.csv", "--reason", "x" * 1001], "--reason"),
        (["import", "roster.csv", "--delimiter", "x"], "--delimiter"),
        (["import", "roster.csv", "--encoding", "klingon"], "klingon"),
        (["import", "roster.csv", "--missing", "delete"], "'delete'"),
        (["export", "--status", "gone"], "'gone'"),
        (["export", "--query", ""], "--query"),
        (["keys", "create", "hr-feed"], "--scope"),
        (["keys", "create", "hr-feed", "--scope", "learners"], "'learners'"),
        (["keys", "create", " ", "--scope", "admin"], "name"),
        (["keys", "create", "hr-feed", "--scope", "admin", "--expires-at", "soon"], "soon"),
        (["keys", "create", "late", "--scope", "admin", "--expires-at", "2020-01-01"], "in the past"),
        (["organizations", "create", "acme", "--name", ""], "--name"),
        (["organizations", "create", "ac_me", "--name", "x", "--time-zone", "UTC"], "slug"),
        (["organizations", "create", "acme", "--name", "x", "--time-zone", "Mars"], "'Mars'"),
        (["organizations", "edit", "acme"], "Nothing to change"),
        (["organizations", "edit", "acme", "--time-zone", "Mars"], "'Mars'"),
        (["organizations", "edit", "acme", "--max-deactivations", "101%"], "percentage"),
        (["organizations", "edit", "acme", "--expiring-days", "367"], "between 0 and 366"),
        (["operations", "list", "--kind", "merge"], "'merge'"),
        (["operations", "list", "--state", "stuck"], "'stuck'"),
        (["operations", "list", "--limit", "0"], "between 1 and 1,000"),
        (["operations", "show"], "ID"),
        (["operations", "show", "x", "--outcome", "lost"], "'lost'"),
        (["operations", "revert", "x", "--reason", "x" * 1001], "--reason"),
        (["learners", "show"], "Name one learner"),
        (["learners", "deactivate", "x", "--username", "x"], "Name one learner"),
        (["learners", "activate", "--username", "x", "--external-id", "x"], "Name one learner"),
        (["serve", "--workers", "0"], "--workers"),
        (["serve", "--port", "70000"], "65535 or less"),
        (["serve", "--port", "many"], "whole number"),
        (["openapi", "--format", "xml"], "'xml'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_usage_error_exits_2_without_a_database(call: list[str], named: str, tmp_path: Path) -> None:
    finished = rollcall(*call, database_url=f"sqlite:///{tmp_path}/never.db")

    assert finished.status == 2
    assert named in finished.stdout + finished.stderr
    for leaked in ("Traceback", "Value error", "Input should", "parse", "%Y"):
        assert leaked not in finished.stderr
    assert list(tmp_path.iterdir()) == []
