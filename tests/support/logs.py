"""The lines that the service logs, as its tests read them."""

from collections.abc import Callable
from typing import Any

Lines = Callable[[], list[dict[str, Any]]]
