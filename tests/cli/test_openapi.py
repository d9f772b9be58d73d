"""`rollcall openapi`: one document in two formats."""

import json

import yaml

from tests.support.processes import find_free_port, rollcall


def test_openapi_is_equal_in_both_formats_without_a_database() -> None:
    away = f"postgresql://rollcall@127.0.0.1:{find_free_port()}/rollcall"

    as_yaml = rollcall("openapi", database_url=away)
    as_json = rollcall("openapi", "--format", "json", database_url=away)

    assert (as_yaml.status, as_json.status) == (0, 0)
    document = yaml.safe_load(as_yaml.stdout)
    assert document == json.loads(as_json.stdout)
    assert document["openapi"].startswith("3.1")
    assert "/learners/{learner_id}/access" in document["paths"]
