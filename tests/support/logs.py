"""The lines that the service logs, as its tests read them."""

from collections.abc import Callable, MutableMapping
from typing import Any

Lines = Callable[[], list[dict[str, Any]]]

# What structlog has kept of each line.
Logs = list[MutableMapping[str, Any]]
