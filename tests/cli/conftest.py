"""Fixtures for the command line's tests: an empty database of each kind."""

from itertools import count
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer
from tests.support.processes import rollcall

_names = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/made/by/the/command.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database(f"rollcall_cli_{next(_names)}")


@pytest.fixture
def new_database(empty_database: str) -> str:
    """A database of each kind that `rollcall migrate` has set up."""
    assert rollcall("migrate", database_url=empty_database).status == 0
    return empty_database
