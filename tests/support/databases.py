"""Databases of either kind, new and empty."""

from itertools import count

import pytest

from tests.support.postgres import PostgresServer

KINDS = ("sqlite", "postgresql")
_numbers = count(1)


def create_database(request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> str:
    """Create the database for a fixture whose parameters are KINDS, and return its URL."""
    if request.param == "sqlite":
        return f"sqlite:///{folders.mktemp('sqlite')}/rollcall.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database(f"rollcall_tests_{next(_numbers)}")
