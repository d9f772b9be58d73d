"""`rollcall organizations`: created organizations are listed, and refusals say why."""

import json
from functools import partial
from typing import Any

from tests.support.processes import rollcall


def test_organizations_are_created_and_listed_by_slug(new_database: str) -> None:
    on: dict[str, Any] = {"database_url": new_database}
    for slug, zone in (("zenith", "Pacific/Auckland"), ("acme", "Europe/Berlin")):
        created = rollcall("organizations", "create", slug, "--name", slug.title(), "--time-zone", zone, **on)
        assert created.status == 0
        assert slug in created.stdout

    lines = rollcall("organizations", "list", **on).stdout.splitlines()
    assert [line.split("\t")[:3] for line in lines[1:]] == [
        ["acme", "Acme", "Europe/Berlin"],
        ["zenith", "Zenith", "Pacific/Auckland"],
    ]
    # `default` is not created automatically once another organization exists.
    assert "'default'" in rollcall("keys", "create", "hr", "--scope", "admin", **on).complaint

    create = partial(rollcall, "organizations", "create", **on)
    assert "'acme' already exists" in create("acme", "--name", "Twin", "--time-zone", "UTC").complaint
    for slug, zone, said in (
        ("Acme GmbH", "UTC", "lowercase letters"),
        ("mars", "Mars/Olympus", "'Mars/Olympus' is not"),
    ):
        refused = create(slug, "--name", "x", "--time-zone", zone)
        assert refused.status == 2
        assert said in refused.stderr
    assert rollcall("organizations", "list", **on).stdout.splitlines() == lines


def test_edited_organization_is_listed_with_its_limits(new_database: str) -> None:
    on: dict[str, Any] = {"database_url": new_database}
    rollcall("organizations", "create", "acme", "--name", "Acme", "--time-zone", "UTC", **on)
    edit = partial(rollcall, "organizations", "edit", "acme", **on)
    for options in (
        ("--name", " Acme Academy "),
        ("--time-zone", "Europe/Berlin"),
        ("--max-deactivations", "5%", "--expiring-days", "0"),
    ):
        edited = edit(*options)
        assert edited.status == 0, edited
        assert edited.stdout.startswith("Changed the organization acme.\n")

    [header, line] = rollcall("organizations", "list", **on).stdout.splitlines()
    assert header.split("\t")[:5] == ["slug", "name", "time zone", "max deactivations", "expiring days"]
    assert line.split("\t")[:5] == ["acme", "Acme Academy", "Europe/Berlin", "5%", "0"]
    in_json = json.loads(rollcall("organizations", "list", "--json", **on).stdout)
    assert (in_json["max_deactivations"], in_json["expiring_days"]) == ("5%", 0)


def test_edit_of_an_unknown_organization_is_refused(new_database: str) -> None:
    edited = rollcall("organizations", "edit", "acme", "--name", "Acme", database_url=new_database)

    assert edited.complaint.startswith("there is no organization 'acme'.")
