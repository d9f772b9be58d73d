"""`rollcall migrate`: once, repeated, and in several processes at once."""

from pathlib import Path

from tests.support.processes import ended, environment, fork, rollcall


def test_migrate_updates_an_empty_database_and_can_be_repeated(empty_database: str) -> None:
    first = rollcall("migrate", database_url=empty_database)
    second = rollcall("migrate", database_url=empty_database)

    assert (first.status, second.status) == (0, 0)
    assert first.stdout.endswith(" (before: none).\n")
    revision = first.stdout.split()[5]
    assert second.stdout == f"The schema is at revision {revision} (before: {revision}).\n"
    assert rollcall("organizations", "list", database_url=empty_database).stdout.count("\n") == 1


def test_several_processes_can_migrate_at_once(empty_database: str, tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(3)]
    processes = [fork(["migrate"], environment(empty_database), file, file) for file in files]

    assert [ended(process) for process in processes] == [0, 0, 0], [file.read_text() for file in files]
