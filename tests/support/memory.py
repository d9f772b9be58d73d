"""A folder in memory: no test cuts the power, so none has to wait until a commit is on a disk."""

import os
import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made in it has a name that nobody can guess
# What the databases of all tests take at most, with room to spare.
_LEAST_BYTES = 2 * 1024**3


def find_memory() -> Path | None:
    """Return the folder, or None if this machine has none or too little space in it."""
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _LEAST_BYTES:
        return _MEMORY
    return None
