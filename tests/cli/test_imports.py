"""`rollcall import`: what it stores and records, what it prints, and its exit status."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import ROSTER, counts, large_roster, run, terminal
from tests.support.processes import Finished, ended, environment, fork, set_up
from tests.support.service import Api

pytestmark = pytest.mark.anyio


@pytest.fixture
def own_database(tmp_path: Path) -> str:
    """Create an SQLite database with the organization `default`."""
    url = f"sqlite:///{tmp_path}/rollcall.db"
    set_up(url)
    return url


async def test_complete_import_exits_0_and_is_recorded(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER)

    finished = await run(api, "import", file, "--reason", "autumn intake")

    assert (finished.status, finished.stderr) == (0, "")
    assert counts(finished) == {"created": 3}
    [operation] = (await api.client.get("/operations")).json()["items"]
    assert finished.stdout.startswith(f"Operation {operation['id']}: succeeded\n")
    assert operation["created_by"]["kind"] == "command-line"
    learners = (await api.client.get("/learners")).json()["items"]
    assert [(each["username"], each["status"]) for each in learners] == [
        ("a.okafor", "activated"),
        ("b.lindqvist", "deactivated"),
        ("c.sato", "expired"),
    ]
    for learner in learners:
        [event] = await api.events(learner)
        assert event["type"] == "learner.created"
        assert (event["operation_id"], event["reason"]) == (operation["id"], "autumn intake")
        assert event["actor"] == operation["created_by"]

    again = await run(api, "import", file)
    assert (again.status, counts(again)) == (0, {"unchanged": 3})


async def test_column_about_access_is_refused_until_an_option_names_it(api: Api, tmp_path: Path) -> None:
    await api.create(username="a", email="a@example.org")
    file = tmp_path / "roster.csv"
    file.write_text("username,email,suspended,exit date\na,,1,\n")

    refused = await run(api, "import", file)
    done = await run(api, "import", file, "--ignore-columns", "suspended,exit date", "--empty", "clear")

    assert refused.status == 1
    assert "--ignore-columns suspended --ignore-columns 'exit date'" in refused.stderr
    assert (done.status, counts(done), done.stderr) == (0, {"changed": 1}, "")
    [learner] = (await api.client.get("/learners")).json()["items"]
    assert (learner["email"], learner["status"]) == (None, "activated")


async def test_partial_import_exits_1_and_writes_rejects(api: Api, tmp_path: Path) -> None:
    file, mend = tmp_path / "roster.csv", tmp_path / "mend.csv"
    file.write_text(ROSTER.replace(",Yes,2099", ",Maybe,2099").replace(",,2020", ",Yes,2020"))

    finished = await run(api, "import", file, "--rejects", mend)

    assert finished.status == 1
    assert counts(finished) == {"created": 1, "refused": 1, "invalid": 1}
    problems = finished.stderr.splitlines()
    assert problems[0].startswith("  line 2: invalid: ")
    assert "'Maybe'" in problems[0]
    assert problems[1].startswith("  line 4: refused: ")
    assert problems[2:] == [f"Wrote the rows that were not applied to {mend}."]
    rows = list(csv.DictReader(io.StringIO(mend.read_text())))
    assert [(row["Username"], row["Line"], row["Outcome"]) for row in rows] == [
        ("a.okafor", "2", "invalid"),
        ("c.sato", "4", "refused"),
    ]

    mend.write_text(mend.read_text().replace("Maybe", "Yes").replace("2020-01-31", "2099-01-31"))
    mended = await run(api, "import", mend)
    assert (mended.status, counts(mended)) == (0, {"created": 2})


async def test_rejects_minus_writes_only_rejects_to_stdout(api: Api, tmp_path: Path) -> None:
    file, mend = tmp_path / "roster.csv", tmp_path / "mend.csv"
    file.write_text(ROSTER.replace(",Yes,2099", ",Maybe,2099"))

    named = await run(api, "import", file, "--rejects", mend, "--dry-run")
    piped = await run(api, "import", file, "--rejects", "-", "--dry-run")

    assert (named.status, piped.status) == (1, 1)
    assert piped.stdout.encode() == mend.read_bytes()
    assert piped.stderr.startswith("Dry run ")
    assert "  invalid             1\n" in piped.stderr
    assert "Wrote" not in piped.stderr


async def test_rejects_minus_without_rejects_writes_nothing(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER)

    finished = await run(api, "import", file, "--rejects", "-")

    assert (finished.status, finished.stdout) == (0, "")
    assert finished.stderr.startswith("Operation ")


async def test_first_twenty_problems_are_shown(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(50).replace("Yes", "Perhaps"))

    finished = await run(api, "import", file)

    assert finished.status == 1
    *shown, last = finished.stderr.splitlines()
    assert [line.split(":")[0] for line in shown] == [f"  line {line}" for line in range(2, 22)]
    assert last == "  … and 30 more. Use --rejects FILE to write all of them."


async def test_dry_run_reports_and_changes_nothing(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER)

    finished = await run(api, "import", file, "--dry-run")

    assert (finished.status, counts(finished)) == (0, {"created": 3})
    assert finished.stdout.startswith("Dry run ")
    assert (await api.client.get("/learners")).json()["items"] == []
    file.write_text(ROSTER.replace("Yes", "Maybe"))
    assert (await run(api, "import", file, "--dry-run")).status == 1


async def test_import_options_work_as_in_the_api(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    known = await api.create(username="a.okafor")
    await api.client.post(f"/learners/{known['id']}/deactivate")
    file.write_bytes(
        "Username|Last Name|Active|Expiration Date\na.okafor|Šimić|Yes|31.12.2099\nb.x|||\n".encode("cp1250")
    )
    how = ("--delimiter", "|", "--encoding", "windows-1250", "--date-format", "dmy", "--no-create")

    protected = await run(api, "import", file, *how, "--protect-manual")

    assert (protected.status, counts(protected)) == (1, {"refused": 1, "not_found": 1})
    assert (await api.get(known))["status"] == "deactivated"
    applied = await run(api, "import", file, *how)
    assert (applied.status, counts(applied)) == (1, {"changed": 1, "not_found": 1})
    learner = await api.get(known)
    assert (learner["last_name"], learner["expires_on"], learner["status"]) == (
        "Šimić",
        "2099-12-31",
        "activated",
    )


async def test_import_with_too_many_deactivations_is_refused(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(10))
    await run(api, "import", file)
    file.write_text(large_roster(6))

    for options in ((), ("--max-deactivations", "30%"), ("--max-deactivations", "3", "--dry-run")):
        refused = await run(api, "import", file, "--missing", "deactivate", *options)
        assert (refused.status, counts(refused)) == (1, {"changed": 4, "unchanged": 6})
        assert ": refused\n" in refused.stdout
        assert "The import would deactivate 4 learners. " in refused.stderr
        assert "use --max-deactivations 4." in refused.stderr
        assert "max_deactivations" not in refused.stderr
        assert "4 of the changed learners would lose access." in refused.stderr
    listed = (await api.client.get("/learners/status-counts")).json()
    assert (listed["activated"], listed["deactivated"]) == (10, 0)

    allowed = await run(api, "import", file, "--missing", "deactivate", "--max-deactivations", "4")
    assert (allowed.status, counts(allowed)) == (0, {"changed": 4, "unchanged": 6})
    assert allowed.stderr == "4 of the changed learners lost access.\n"


async def test_incomplete_file_with_missing_deactivate_is_refused(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(10))
    await run(api, "import", file)
    for content, said in (
        (large_roster(9) + "learner", "line break"),
        ("Username\n", "no rows"),
        ('Username\n"a\n', "line 2 "),
    ):
        file.write_text(content)
        refused = await run(api, "import", file, "--missing", "deactivate", "--max-deactivations", "100%")
        assert said in refused.complaint
        assert "missing=" not in refused.complaint
    wrong = await run(api, "import", file, "--missing", "deactivate", "--max-deactivations", "many")
    assert wrong.status == 2
    assert "percentage" in wrong.stderr
    assert (await api.client.get("/learners/status-counts")).json()["activated"] == 10


async def test_large_guarded_import_reports_progress(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(6_000))
    await run(api, "import", file)
    file.write_text(large_roster(5_500))

    finished = await run(api, "import", file, "--missing", "deactivate")

    assert (finished.status, counts(finished)) == (0, {"changed": 500, "unchanged": 5_500})
    assert finished.stderr.splitlines()[-2:] == [
        "6,000 of 6,000 rows",
        "500 of the changed learners lost access.",
    ]


async def test_import_prints_warnings(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_bytes("Username,Last Name,Department\na.okafor,Müller,R&D\n".encode("cp1252"))

    finished = await run(api, "import", file)

    assert finished.status == 0
    warnings = finished.stderr.splitlines()
    assert len(warnings) == 2
    assert all(line.startswith("warning: ") for line in warnings)
    assert "Department" in finished.stderr
    assert "indows-1252" in finished.stderr


async def test_import_minus_reads_stdin(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER)

    assert counts(await run(api, "import", "-", stdin=file)) == {"created": 3}


def test_installed_command_reads_a_pipe(own_database: str) -> None:
    answer = subprocess.run(
        [Path(sys.executable).with_name("rollcall"), "import", "-"],
        input=ROSTER,
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=environment(own_database),
    )

    assert (answer.returncode, answer.stderr) == (0, "")
    assert counts(Finished(0, answer.stdout, "")) == {"created": 3}


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ('{"learners": []}', (), "JSON"),
        ("", (), "empty"),
        ("Name,Active\nx,Yes\n", (), "Username"),
        ('Username\n"a\n', (), "line 2 "),
        ("Username\na\0\n", (), "Line 2 "),
        (ROSTER, ("--rejects", "nowhere/mend.csv"), "nowhere/mend.csv"),
    ],
)
async def test_file_that_is_not_a_roster_exits_1_with_one_line(
    api: Api, tmp_path: Path, content: str, options: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(content)

    complaint = (await run(api, "import", file, *options)).complaint
    assert said in complaint
    assert complaint.lower().count("line ") <= 1
    assert (await api.client.get("/operations")).json()["items"] == []


async def test_unreadable_path_is_named(api: Api, tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv"

    assert (
        await run(api, "import", missing)
    ).complaint == f"cannot read {missing}: No such file or directory"
    assert (await run(api, "import", tmp_path)).complaint == f"cannot read {tmp_path}: Is a directory"


async def test_large_import_reports_progress_in_lines(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(6_000))

    finished = await run(api, "import", file)

    assert (finished.status, counts(finished)) == (0, {"created": 6_000})
    lines = finished.stderr.splitlines()
    assert lines[-1] == "6,000 of 6,000 rows"
    assert set(lines) <= {f"{rows:,} of 6,000 rows" for rows in (5_000, 6_000)}
    assert "\x1b" not in finished.stdout + finished.stderr


def test_large_import_on_a_terminal_shows_a_bar(own_database: str, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(6_000))
    output = tmp_path / "output"
    variables = environment(own_database) | {"TERM": "xterm"}

    with terminal() as (screen, seen):
        status = ended(fork(["import", file], variables, output, screen))

    shown = seen.decode()
    assert status == 0, shown
    assert "Importing" in shown
    assert "━" in shown
    assert "6000/6000" in shown
    assert " rows" not in shown
    assert counts(Finished(0, output.read_text(), "")) == {"created": 6_000}
