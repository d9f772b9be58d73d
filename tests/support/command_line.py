"""The command as a test calls it: for the test's organization, with rosters, and what an import answers."""

import os
import pty
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread

from tests.support.processes import Finished, rollcall
from tests.support.service import Api

ROSTER = (
    "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\n"
    "a.okafor,HR-1,a.okafor@example.org,Adaeze,Okafor,Yes,2099-12-31\n"
    "b.lindqvist,HR-2,b.lindqvist@example.org,Björn,Lindqvist,No,\n"
    "c.sato,,c.sato@example.org,美咲,佐藤,,2020-01-31\n"
)
COUNTS = ("created", "changed", "unchanged", "refused", "invalid", "not_found")


async def run(api: Api, *arguments: str | Path, **options: Any) -> Finished:
    """The command for the organization of this test, while the service goes on."""
    own = ("--organization", api.organization.slug)
    return await to_thread.run_sync(
        partial(rollcall, *arguments, *own, database_url=api.service.url, **options)
    )


def counts(finished: Finished) -> dict[str, int]:
    """The table that an import ends with, without its noughts."""
    lines = [line.split() for line in finished.stdout.splitlines()[1:]]
    assert [name for name, _ in lines] == list(COUNTS)
    return {name: int(number.replace(",", "")) for name, number in lines if number != "0"}


def large_roster(rows: int) -> str:
    return "Username,Active\n" + "".join(f"learner{number:06},Yes\n" for number in range(rows))


@contextmanager
def terminal() -> Iterator[tuple[Path, bytearray]]:
    """A terminal that a command can write to, and what it shows: all of it once the block has ended."""
    shown = bytearray()
    master, slave = pty.openpty()

    def read() -> None:
        try:
            while block := os.read(master, 65_536):
                shown.extend(block)
        except OSError:  # nobody has the terminal any more
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield Path(os.ttyname(slave)), shown
    finally:
        os.close(slave)
        reader.join()
        os.close(master)
