import csv
import io
import json
import os
import pty
import subprocess
import sys
import threading
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from anyio import to_thread

from app import __version__, cli
from app.organizations.api_keys import is_well_formed
from tests.conftest import Api
from tests.postgres import PostgresServer
from tests.processes import Finished, ended, environment, find_free_port, fork, rollcall

pytestmark = pytest.mark.anyio

_names = count(1)
ROSTER = (
    "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\n"
    "a.okafor,HR-1,a.okafor@example.org,Adaeze,Okafor,Yes,2099-12-31\n"
    "b.lindqvist,HR-2,b.lindqvist@example.org,Björn,Lindqvist,No,\n"
    "c.sato,,c.sato@example.org,美咲,佐藤,,2020-01-31\n"
)
COUNTS = ("created", "changed", "unchanged", "refused", "invalid", "not_found")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/made/by/the/command.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database(f"rollcall_cli_{next(_names)}")


@pytest.fixture
def own_database(tmp_path: Path) -> str:
    """A database, of the quicker kind, in which the organization `default` is."""
    url = f"sqlite:///{tmp_path}/rollcall.db"
    assert rollcall("keys", "create", "first", "--scope", "admin", database_url=url).status == 0
    return url


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


def commands() -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}

    def visit(command: Any, path: tuple[str, ...]) -> None:
        found[path] = command
        for name, each in getattr(command, "commands", {}).items():
            visit(each, (*path, name))

    visit(typer.main.get_command(cli.app), ())
    return found


# --help, --version, wrong calls


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_help_tells_what_the_command_and_each_of_its_options_do(path: tuple[str, ...]) -> None:
    finished = rollcall(*path, "--help")

    assert finished.status == 0
    assert finished.stderr == ""
    command = commands()[path]
    assert str(command.help).splitlines()[0] in " ".join(finished.stdout.split())
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert parameter.help.split()[0] in finished.stdout


@pytest.mark.parametrize(
    ("path", "example"),
    [
        ("serve", "rollcall serve --port 8080"),
        ("migrate", "rollcall migrate"),
        ("organizations create", "--time-zone Europe/Berlin"),
        ("keys create", "| tail -n 1)"),
        ("import", "rollcall import roster.csv --dry-run"),
        ("export", "rollcall export -o learners.csv"),
        ("openapi", "rollcall openapi --format json"),
    ],
)
def test_help_shows_how_to_call_what_takes_options(path: str, example: str) -> None:
    assert example in rollcall(*path.split(), "--help").stdout


def test_the_version_is_the_package_s() -> None:
    assert rollcall("--version") == Finished(0, f"rollcall {__version__}\n", "")


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ([], "Usage"),
        (["improt", "roster.csv"], "improt"),
        (["import"], "file"),
        (["import", "roster.csv", "--dryrun"], "--dryrun"),
        (["import", "roster.csv", "--date-format", "us"], "'us'"),
        (["import", "roster.csv", "--reason", "x" * 1001], "--reason"),
        (["export", "--status", "gone"], "'gone'"),
        (["export", "--query", ""], "--query"),
        (["keys", "create", "hr-feed"], "--scope"),
        (["keys", "create", "hr-feed", "--scope", "learners"], "'learners'"),
        (["keys", "create", " ", "--scope", "admin"], "name"),
        (["keys", "create", "hr-feed", "--scope", "admin", "--expires-at", "soon"], "soon"),
        (["organizations", "create", "acme", "--name", ""], "--name"),
        (["serve", "--workers", "0"], "--workers"),
        (["serve", "--port", "70000"], "--port"),
        (["openapi", "--format", "xml"], "'xml'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_wrong_call_ends_with_2_names_what_is_wrong_and_touches_no_database(
    call: list[str], named: str, tmp_path: Path
) -> None:
    finished = rollcall(*call, database_url=f"sqlite:///{tmp_path}/never.db")

    assert finished.status == 2
    assert named in finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr
    assert list(tmp_path.iterdir()) == []


# What is out of reach


@pytest.mark.parametrize("command", [["organizations", "list"], ["serve"], ["migrate"]], ids=" ".join)
def test_a_database_that_does_not_answer_is_told_in_one_line(command: list[str]) -> None:
    port = find_free_port()

    complaint = rollcall(*command, database_url=f"postgresql://rollcall@127.0.0.1:{port}/rollcall").complaint

    assert "out of reach" in complaint
    assert str(port) in complaint


def test_a_postgresql_database_that_is_not_there_is_named(postgres: PostgresServer) -> None:
    assert "nowhere" in rollcall("keys", "list", database_url=postgres.url("nowhere")).complaint


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER)

    assert "not a database" in rollcall("keys", "list", database_url=f"sqlite:///{file}").complaint
    assert file.read_text() == ROSTER


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("database_url", "mysql://rollcall@db/rollcall", "sqlite:///… or postgresql://…"),
        ("database_url", "rollcall.db", "sqlite:///… or postgresql://…"),
        ("database_url", "sqlite://", "needs a file"),
        ("database_pool_size", "many", "integer"),
        ("database_pool_size", "3", "8"),
        ("log_level", "loud", "'info'"),
        ("shutdown_seconds", "-1", "0"),
    ],
)
def test_a_wrong_setting_is_named_with_its_variable(name: str, value: str, said: str) -> None:
    complaint = rollcall("organizations", "list", **{name: value}).complaint

    assert complaint.startswith(f"ROLLCALL_{name.upper()}: ")
    assert said in complaint


def test_all_wrong_settings_are_named_at_once() -> None:
    complaint = rollcall("serve", log_level="loud", max_import_bytes="lots").complaint

    assert "ROLLCALL_LOG_LEVEL: " in complaint
    assert "ROLLCALL_MAX_IMPORT_BYTES: " in complaint


# Organizations and keys


def test_on_an_empty_database_a_first_key_comes_with_schema_and_organization(empty_database: str) -> None:
    finished = rollcall("keys", "create", "hr feed", "--scope", "learners:bulk", database_url=empty_database)

    assert finished.status == 0
    secret = finished.stdout.removesuffix("\n")
    assert is_well_formed(secret)
    assert secret not in finished.stderr
    assert "'hr feed' of default" in finished.stderr
    [header, organization] = rollcall(
        "organizations", "list", database_url=empty_database
    ).stdout.splitlines()
    assert header.split("\t") == ["slug", "name", "time zone", "id"]
    assert organization.split("\t")[:3] == ["default", "Default organization", "UTC"]
    [_, key] = rollcall("keys", "list", database_url=empty_database).stdout.splitlines()
    assert key.split("\t")[1:] == ["hr feed", secret[:15], "learners:bulk", "yes", "never"]


def test_organizations_are_created_and_listed_by_slug(empty_database: str) -> None:
    on = {"database_url": empty_database}
    for slug, zone in (("zenith", "Pacific/Auckland"), ("acme", "Europe/Berlin")):
        created = rollcall("organizations", "create", slug, "--name", slug.title(), "--time-zone", zone, **on)
        assert created.status == 0
        assert slug in created.stdout

    lines = rollcall("organizations", "list", **on).stdout.splitlines()
    assert [line.split("\t")[:3] for line in lines[1:]] == [
        ["acme", "Acme", "Europe/Berlin"],
        ["zenith", "Zenith", "Pacific/Auckland"],
    ]
    # With another organization there, `default` is one that somebody has to want.
    assert "'default'" in rollcall("keys", "create", "hr", "--scope", "admin", **on).complaint

    create = partial(rollcall, "organizations", "create", **on)
    assert "'acme' exists already" in create("acme", "--name", "Twin", "--time-zone", "UTC").complaint
    assert "lower-case letters" in create("Acme GmbH", "--name", "x", "--time-zone", "UTC").complaint
    assert "'Mars/Olympus' is not" in create("mars", "--name", "x", "--time-zone", "Mars/Olympus").complaint
    assert rollcall("organizations", "list", **on).stdout.splitlines() == lines


async def test_a_key_does_what_its_scopes_say_until_it_is_revoked(api: Api) -> None:
    until_2099 = ("--expires-at", "2099-01-01")
    portal = await run(api, "keys", "create", "portal", "--scope", "access:check", *until_2099)
    feed = await run(api, "keys", "create", "feed", "--scope", "learners:read", "--scope", "learners:bulk")

    async with api.service.client(portal.stdout.strip()) as client:
        me = (await client.get("/me")).json()
        assert (me["actor"]["name"], me["scopes"]) == ("portal", ["access:check"])
        assert me["organization"]["slug"] == api.organization.slug
        assert (await client.get("/learners")).status_code == 403

    listed = [line.split("\t") for line in (await run(api, "keys", "list")).stdout.splitlines()[1:]]
    assert [(name, scopes, valid) for _, name, _, scopes, valid, _ in listed[:2]] == [
        ("feed", "learners:bulk learners:read", "yes"),
        ("portal", "access:check", "yes"),
    ]
    feed_id = listed[0][0]
    revoked = await run(api, "keys", "revoke", feed_id)
    assert revoked == Finished(0, f"Revoked {feed_id}.\n", "")
    assert (await run(api, "keys", "list")).stdout.splitlines()[1].split("\t")[4] == "revoked"
    async with api.service.client(feed.stdout.strip()) as client:
        assert (await client.get("/me")).status_code == 401
    keys = (await api.client.get("/api-keys")).json()["items"]
    assert {key["name"]: key["revoked_at"] is not None for key in keys} == {
        "feed": True,
        "portal": False,
        "test": False,
    }
    assert {key["name"]: key["expires_at"] for key in keys}["portal"] == "2099-01-01T00:00:00Z"


async def test_a_key_that_could_never_be_used_is_not_issued(api: Api) -> None:
    finished = await run(api, "keys", "create", "late", "--scope", "admin", "--expires-at", "2020-01-01")

    assert "in the past" in finished.complaint
    assert [key["name"] for key in (await api.client.get("/api-keys")).json()["items"]] == ["test"]


async def test_a_key_of_another_organization_cannot_be_revoked(api: Api) -> None:
    other = await api.service.found_organization()
    key_id = (await api.client.get("/me")).json()["actor"]["id"]
    revoke = partial(rollcall, "keys", "revoke", database_url=api.service.url)

    for sent, slug in (
        (key_id, other.slug),
        ("not-an-id", api.organization.slug),
        (key_id.replace(key_id[:8], "00000000"), api.organization.slug),
    ):
        finished = await to_thread.run_sync(partial(revoke, sent, "--organization", slug))
        assert finished.complaint == f"{slug} has no key with the id {sent}"
    [key] = (await api.client.get("/api-keys")).json()["items"]
    assert key["revoked_at"] is None


@pytest.mark.parametrize(
    "command",
    [
        ["keys", "list"],
        ["keys", "create", "x", "--scope", "admin"],
        ["keys", "revoke", "x"],
        ["import", "-"],
        ["export"],
    ],
    ids=" ".join,
)
async def test_an_unknown_organization_is_told_with_where_to_look(api: Api, command: list[str]) -> None:
    wrong = partial(rollcall, *command, "--organization", "nobody", database_url=api.service.url)

    complaint = (await to_thread.run_sync(wrong)).complaint

    assert complaint == (
        "there is no organization 'nobody'; `rollcall organizations list` shows those there are"
    )


# import


async def test_an_import_that_applies_every_row_ends_with_0_and_is_recorded(api: Api, tmp_path: Path) -> None:
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


async def test_rows_that_were_not_applied_end_it_with_1_and_can_be_mended(api: Api, tmp_path: Path) -> None:
    file, mend = tmp_path / "roster.csv", tmp_path / "mend.csv"
    file.write_text(ROSTER.replace(",Yes,2099", ",Maybe,2099").replace(",,2020", ",Yes,2020"))

    finished = await run(api, "import", file, "--rejects", mend)

    assert finished.status == 1
    assert counts(finished) == {"created": 1, "refused": 1, "invalid": 1}
    problems = finished.stderr.splitlines()
    assert problems[0].startswith("  line 2: invalid: ")
    assert "'Maybe'" in problems[0]
    assert problems[1].startswith("  line 4: refused: ")
    assert problems[2:] == [f"The rows that were not applied are in {mend}."]
    rows = list(csv.DictReader(io.StringIO(mend.read_text())))
    assert [(row["Username"], row["Line"], row["Outcome"]) for row in rows] == [
        ("a.okafor", "2", "invalid"),
        ("c.sato", "4", "refused"),
    ]

    mend.write_text(mend.read_text().replace("Maybe", "Yes").replace("2020-01-31", "2099-01-31"))
    mended = await run(api, "import", mend)
    assert (mended.status, counts(mended)) == (0, {"created": 2})


async def test_of_many_problems_the_first_are_shown_and_the_others_counted(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(50).replace("Yes", "Perhaps"))

    finished = await run(api, "import", file)

    assert finished.status == 1
    *shown, last = finished.stderr.splitlines()
    assert [line.split(":")[0] for line in shown] == [f"  line {line}" for line in range(2, 22)]
    assert last == "  … and 30 more; --rejects FILE writes them all"


async def test_a_dry_run_tells_the_same_and_changes_nothing(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER)

    finished = await run(api, "import", file, "--dry-run")

    assert (finished.status, counts(finished)) == (0, {"created": 3})
    assert finished.stdout.startswith("Dry run ")
    assert (await api.client.get("/learners")).json()["items"] == []
    file.write_text(ROSTER.replace("Yes", "Maybe"))
    assert (await run(api, "import", file, "--dry-run")).status == 1


async def test_the_options_of_an_import_are_those_of_the_api(api: Api, tmp_path: Path) -> None:
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


async def test_what_a_person_must_know_of_the_file_is_a_warning(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_bytes("Username,Last Name,Department\na.okafor,Müller,R&D\n".encode("cp1252"))

    finished = await run(api, "import", file)

    assert finished.status == 0
    warnings = finished.stderr.splitlines()
    assert len(warnings) == 2
    assert all(line.startswith("warning: ") for line in warnings)
    assert "Department" in finished.stderr
    assert "indows-1252" in finished.stderr


async def test_a_minus_reads_the_file_from_standard_input(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER)

    assert counts(await run(api, "import", "-", stdin=file)) == {"created": 3}


def test_the_installed_command_reads_a_pipe(own_database: str) -> None:
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
        ('Username\n"a\n', (), "line 2: "),
        (ROSTER, ("--delimiter", "x"), "delimiter"),
        (ROSTER, ("--encoding", "klingon"), "klingon"),
        (ROSTER, ("--rejects", "nowhere/mend.csv"), "nowhere/mend.csv"),
    ],
)
async def test_what_is_no_roster_is_told_in_one_line_and_nothing_is_done(
    api: Api, tmp_path: Path, content: str, options: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(content)

    assert said in (await run(api, "import", file, *options)).complaint
    assert (await api.client.get("/operations")).json()["items"] == []


async def test_a_file_that_cannot_be_read_is_named(api: Api, tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv"

    assert (
        await run(api, "import", missing)
    ).complaint == f"cannot read {missing}: No such file or directory"
    assert (await run(api, "import", tmp_path)).complaint == f"cannot read {tmp_path}: Is a directory"


async def test_a_large_import_tells_how_far_it_is_in_plain_lines(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(6_000))

    finished = await run(api, "import", file)

    assert (finished.status, counts(finished)) == (0, {"created": 6_000})
    lines = finished.stderr.splitlines()
    assert lines[-1] == "6,000 of 6,000 rows"
    assert set(lines) <= {f"{rows:,} of 6,000 rows" for rows in (5_000, 6_000)}
    assert "\x1b" not in finished.stdout + finished.stderr

    # Somebody who has seen enough of an export is no fault.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    own = ("--organization", api.organization.slug)
    errors = tmp_path / "errors"
    export = fork(["export", *own], environment(api.service.url), pipe, errors)
    with pipe.open("rb") as reader:
        assert reader.readline().startswith(b"Username,")
    assert await to_thread.run_sync(ended, export) == 1
    assert errors.read_text() == ""


def test_on_a_terminal_a_large_import_shows_a_bar(own_database: str, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(large_roster(6_000))
    seen = bytearray()
    master, terminal = pty.openpty()

    def read() -> None:
        try:
            while block := os.read(master, 65_536):
                seen.extend(block)
        except OSError:  # nobody has the terminal any more
            pass

    reader = threading.Thread(target=read)
    reader.start()
    variables = environment(own_database) | {"TERM": "xterm"}
    output = tmp_path / "output"
    status = ended(fork(["import", file], variables, output, Path(os.ttyname(terminal))))
    os.close(terminal)
    reader.join()
    os.close(master)

    shown = seen.decode()
    assert status == 0, shown
    assert "Importing" in shown
    assert "━" in shown
    assert "6000/6000" in shown
    assert " rows" not in shown
    assert counts(Finished(0, output.read_text(), "")) == {"created": 6_000}


# export


async def test_an_export_is_the_api_s_byte_for_byte_and_imports_back_unchanged(
    api: Api, tmp_path: Path
) -> None:
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
async def test_an_export_is_filtered_as_a_list_is(
    api: Api, options: tuple[str, ...], usernames: list[str]
) -> None:
    await api.import_csv(ROSTER)

    rows = csv.DictReader(io.StringIO((await run(api, "export", *options)).stdout))

    assert [row["Username"] for row in rows] == usernames


async def test_an_export_to_where_nothing_can_be_written_says_so(api: Api, tmp_path: Path) -> None:
    assert "nowhere" in (await run(api, "export", "-o", tmp_path / "nowhere" / "learners.csv")).complaint


# openapi, migrate


def test_the_document_is_the_same_in_both_forms_and_needs_no_database() -> None:
    away = f"postgresql://rollcall@127.0.0.1:{find_free_port()}/rollcall"

    as_yaml = rollcall("openapi", database_url=away)
    as_json = rollcall("openapi", "--format", "json", database_url=away)

    assert (as_yaml.status, as_json.status) == (0, 0)
    document = yaml.safe_load(as_yaml.stdout)
    assert document == json.loads(as_json.stdout)
    assert document["openapi"].startswith("3.1")
    assert "/learners/{learner_id}/access" in document["paths"]


def test_migrate_brings_an_empty_database_to_the_schema_and_is_safe_to_repeat(empty_database: str) -> None:
    first = rollcall("migrate", database_url=empty_database)
    second = rollcall("migrate", database_url=empty_database)

    assert (first.status, second.status) == (0, 0)
    assert first.stdout.endswith(" (it was at none).\n")
    revision = first.stdout.split()[5]
    assert second.stdout == f"The schema is at revision {revision} (it was at {revision}).\n"
    assert rollcall("organizations", "list", database_url=empty_database).stdout.count("\n") == 1


def test_several_may_migrate_the_same_database_at_once(empty_database: str, tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(3)]
    processes = [fork(["migrate"], environment(empty_database), file, file) for file in files]

    assert [ended(process) for process in processes] == [0, 0, 0], [file.read_text() for file in files]
