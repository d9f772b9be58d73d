"""The tier of each test, by what it needs: nothing, one database, real processes, or a browser."""

from types import ModuleType

import pytest

from tests.support import postgres, processes

TIERS = ("unit", "api", "process", "console")
# A test that gets one of these by whatever way works on a database.
_DATABASES = {"database", "database_url", "empty_database", "postgres", "service", "shared_service", "url"}
_PROCESSES = {processes.__name__, postgres.__name__, "subprocess"}


def find_tier(item: pytest.Function) -> str:
    """Return the tier of a test: the last of TIERS of which it needs something."""
    needed = set(item.fixturenames)
    if "chromium" in needed:
        return "console"
    if needed & {"empty_database", "own_postgres"} or _starts_processes(item.module):
        return "process"
    return "api" if needed & _DATABASES else "unit"


def _starts_processes(module: ModuleType) -> bool:
    """Whether it imports what starts processes; PostgresServer alone is the type of a fixture."""
    imported = {
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        for name, value in vars(module).items()
        if name != "PostgresServer"
    }
    return bool(imported & _PROCESSES)
