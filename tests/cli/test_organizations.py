"""`rollcall organizations`: created organizations are listed, and refusals say why."""

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
