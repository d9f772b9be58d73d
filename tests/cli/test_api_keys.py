"""`rollcall keys`: the first key of a new database, and keys until they are revoked."""

import json
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread

from app.organizations.api_keys import is_well_formed
from tests.support.command_line import run, terminal
from tests.support.processes import Finished, ended, environment, fork, rollcall
from tests.support.service import Api

pytestmark = pytest.mark.anyio


def test_first_key_creates_the_organization(new_database: str) -> None:
    finished = rollcall("keys", "create", "hr feed", "--scope", "learners:bulk", database_url=new_database)

    assert finished.status == 0
    secret = finished.stdout.removesuffix("\n")
    assert is_well_formed(secret)
    assert secret not in finished.stderr
    assert "'hr feed' for the organization default" in finished.stderr
    [header, organization] = rollcall("organizations", "list", database_url=new_database).stdout.splitlines()
    assert header.split("\t") == ["slug", "name", "time zone", "max deactivations", "expiring days", "id"]
    assert organization.split("\t")[:3] == ["default", "Default organization", "UTC"]
    [_, key] = rollcall("keys", "list", database_url=new_database).stdout.splitlines()
    assert key.split("\t")[1:] == ["hr feed", secret[:15], "learners:bulk", "yes", "never"]


def test_key_name_is_printed_literally(new_database: str, tmp_path: Path) -> None:
    name = "hr [bold]feed[/bold] :+1: [/]"
    created = rollcall("keys", "create", name, "--scope", "admin", database_url=new_database)
    assert f"Created the key {name!r} for the organization default." in created.stderr

    variables = environment(new_database) | {"TERM": "xterm"}
    with terminal() as (screen, shown):
        status = ended(fork(["keys", "list"], variables, screen, tmp_path / "errors"))

    assert status == 0
    assert f" {name} " in shown.decode()


def test_narrow_terminal_shows_complete_ids(new_database: str, tmp_path: Path) -> None:
    assert rollcall("keys", "create", "hr", "--scope", "admin", database_url=new_database).status == 0
    key_id = rollcall("keys", "list", database_url=new_database).stdout.splitlines()[1].split("\t")[0]

    variables = environment(new_database) | {"TERM": "xterm", "COLUMNS": "60"}
    with terminal() as (screen, shown):
        assert ended(fork(["keys", "list"], variables, screen, tmp_path / "errors")) == 0

    first_column = "".join(line.split(" ")[1] for line in shown.decode().splitlines()[1:])
    assert first_column == key_id


async def test_key_works_with_its_scopes_until_it_is_revoked(api: Api) -> None:
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
    in_json = await run(api, "keys", "list", "--json")
    assert [json.loads(line) for line in in_json.stdout.splitlines()] == keys
    assert {key["name"]: key["expires_at"] for key in keys}["portal"] == "2099-01-01T00:00:00Z"


async def test_last_admin_key_can_be_revoked_and_replaced(api: Api) -> None:
    [_, key] = (await run(api, "keys", "list")).stdout.splitlines()
    key_id, *_ = key.split("\t")

    revoked = await run(api, "keys", "revoke", key_id)

    assert revoked == Finished(0, f"Revoked {key_id}.\n", "")
    assert (await api.client.get("/me")).status_code == 401
    created = await run(api, "keys", "create", "new", "--scope", "admin")
    async with api.service.client(created.stdout.strip()) as client:
        keys = (await client.get("/api-keys")).json()["items"]
        assert {key["name"]: key["revoked_at"] is None for key in keys} == {"new": True, "test": False}


async def test_key_that_expires_in_the_past_is_not_created(api: Api) -> None:
    finished = await run(api, "keys", "create", "late", "--scope", "admin", "--expires-at", "2020-01-01")

    assert finished.status == 2
    assert "in the past" in finished.stderr
    assert [key["name"] for key in (await api.client.get("/api-keys")).json()["items"]] == ["test"]


async def test_key_of_another_organization_cannot_be_revoked(api: Api) -> None:
    other = await api.service.found_organization()
    key_id = (await api.client.get("/me")).json()["actor"]["id"]
    revoke = partial(rollcall, "keys", "revoke", database_url=api.service.url)

    for sent, slug in (
        (key_id, other.slug),
        ("not-an-id", api.organization.slug),
        (key_id.replace(key_id[:8], "00000000"), api.organization.slug),
    ):
        finished = await to_thread.run_sync(partial(revoke, sent, "--organization", slug))
        assert (
            finished.complaint
            == f"the organization {slug} has no key with the id {sent}. List its keys with `rollcall keys list`."
        )
    [key] = (await api.client.get("/api-keys")).json()["items"]
    assert key["revoked_at"] is None
