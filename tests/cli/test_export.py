"""`rollcall export`: the same bytes as over HTTP, to a file, to stdout, and to a pipe that closes early."""

import csv
import io
import os
from pathlib import Path

import pytest
from anyio import to_thread

from tests.support.command_line import ROSTER, counts, large_roster, run
from tests.support.processes import Finished, ended, environment, fork
from tests.support.service import Api

pytestmark = pytest.mark.anyio


async def test_export_equals_the_api_and_can_be_imported(api: Api, tmp_path: Path) -> None:
    await api.import_csv(ROSTER + '=1+1,HR-4,,"Smith, J.",,Yes,\n')
    over_http = await api.client.get("/learners", headers={"Accept": "text/csv"})
    file = tmp_path / "learners.csv"

    shown = await run(api, "export")
    written = await run(api, "export", "-o", file)

    assert shown == Finished(0, over_http.text, "")
    assert written == Finished(0, "", "")
    assert file.read_bytes() == over_http.content
    assert counts(await run(api, "import", file)) == {"unchanged": 4}


@pytest.mark.parametrize(
    ("options", "usernames"),
    [
        (("--status", "expired"), ["c.sato"]),
        (("--status", "expired", "--status", "deactivated"), ["b.lindqvist", "c.sato"]),
        (("-q", "OKAF"), ["a.okafor"]),
        (("--query", "example.org", "--status", "activated"), ["a.okafor"]),
        (("--query", "nobody"), []),
    ],
)
async def test_export_is_filtered_like_a_list(
    api: Api, options: tuple[str, ...], usernames: list[str]
) -> None:
    await api.import_csv(ROSTER)

    rows = csv.DictReader(io.StringIO((await run(api, "export", *options)).stdout))

    assert [row["Username"] for row in rows] == usernames


async def test_export_to_an_unwritable_path_says_so(api: Api, tmp_path: Path) -> None:
    assert "nowhere" in (await run(api, "export", "-o", tmp_path / "nowhere" / "learners.csv")).complaint


async def test_export_into_a_closed_pipe_ends_quietly(api: Api, tmp_path: Path) -> None:
    await api.import_csv(large_roster(5_000))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    own = ("--organization", api.organization.slug)
    errors = tmp_path / "errors"
    export = fork(["export", *own], environment(api.service.url), pipe, errors)
    with pipe.open("rb") as reader:
        assert reader.readline().startswith(b"Username,")
    assert await to_thread.run_sync(ended, export) == 1
    assert errors.read_text() == ""
