"""Disks that become full while a process writes, and have space again."""

import os
import resource
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

# What makes a full one full: less than a page of any database.
_LEFT_BYTES = 4096


class NoMount(Exception):
    """This process may not mount a file system; the message is what `mount` said."""


class SmallDisk:
    """A file system in memory, mounted on a new folder, that can be filled up to its last page."""

    def __init__(self, size: int) -> None:
        """`size`: in bytes, while it is not full. Raises NoMount."""
        self._size = size
        self.path = Path(tempfile.mkdtemp(prefix="rollcall-disk-"))
        try:
            self._mount("-t", "tmpfs", "-o", f"size={size},mode=755", "rollcall", self.path)
        except NoMount:
            self.path.rmdir()
            raise

    def fill(self) -> None:
        """Leave it no larger than what is on it."""
        while True:
            found = os.statvfs(self.path)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            try:
                self._mount("-o", f"remount,size={used + _LEFT_BYTES}", self.path)
            except NoMount:  # more was written meanwhile
                continue
            return

    def free(self) -> None:
        """Let there be space again."""
        self._mount("-o", f"remount,size={self._size}", self.path)

    def close(self) -> None:
        """Forget it, with all that is on it."""
        subprocess.run(["umount", "--lazy", self.path], check=True)
        self.path.rmdir()

    def _mount(self, *arguments: str | Path) -> None:
        try:
            done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise NoMount(str(error)) from None
        if done.returncode != 0:
            raise NoMount(done.stderr.strip())


def limit_files(pids: Iterable[int], size: int | None) -> None:
    """Let these processes write nothing beyond the first `size` bytes of a file; None = wherever they like.

    A full disk that needs no disk: Python ignores SIGXFSZ, so that their writes fail.
    """
    for pid in pids:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
