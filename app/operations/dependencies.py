"""What routes that start or show operations take and document, in this slice and in those above it."""

from typing import Annotated, Any

from fastapi import Depends

from app.operations.runner import Runner
from app.operations.schemas import OperationDocument
from app.platform.state import StateKey

RUNNER: StateKey[Runner] = StateKey("runner")
CurrentRunner = Annotated[Runner, Depends(RUNNER)]

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": OperationDocument,
        "description": "It goes on: look again at `Location` after `Retry-After` seconds.",
    }
}
