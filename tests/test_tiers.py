"""What holds for the tests themselves: each has one tier, and the pure ones are really pure."""

import pytest

from tests.support.tiers import TIERS


def find_tiers(item: pytest.Item) -> list[str]:
    return [mark.name for mark in item.iter_markers() if mark.name in TIERS]


def test_every_test_has_exactly_one_tier(request: pytest.FixtureRequest) -> None:
    assert {
        item.nodeid: find_tiers(item) for item in request.session.items if len(find_tiers(item)) != 1
    } == {}


def test_rules_are_tested_without_a_database(request: pytest.FixtureRequest) -> None:
    of_rules = [item for item in request.session.items if item.path.parent.name == "domain"]
    assert {item.nodeid for item in of_rules if find_tiers(item) != ["unit"]} == set()
