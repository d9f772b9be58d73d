"""The values that the console lists are those of the API."""

import re
from collections.abc import Iterable
from enum import StrEnum

import pytest

from app.domain.events import EventType
from app.domain.status import Status
from app.imports.rows import DateFormat
from app.learners.plan import COUNTED_EFFECTS, OutcomeName, effect_name
from app.main import create_app
from app.operations.operation import Kind, State
from app.operations.schemas import Action
from app.organizations.api_keys import Scope
from app.platform.problems import CATALOGUE
from app.webhooks.delivery import DeliveryState
from app.webhooks.messages import TEST_EVENT
from app.webhooks.webhook import DisabledReason
from tests.console.test_files import MESSAGES, SCRIPTS

CHANGES = list(map(effect_name, COUNTED_EFFECTS))


def read_list(script: str, name: str) -> list[str]:
    """The strings of a constant list in a script."""
    found = re.search(rf"export const {name} = /\*\* @type {{const}} \*/ \(\[([^\]]*)\]\)", SCRIPTS[script])
    assert found is not None, f"{script} has no list {name}"
    return re.findall(r'"([^"]+)"', found[1])


@pytest.mark.parametrize(
    ("script", "name", "enum"),
    [
        ("api_keys/scopes.js", "SCOPES", Scope),
        ("imports/options_form.js", "DATE_FORMATS", DateFormat),
        ("learners/learner.js", "STATUSES", Status),
        ("operations/operation.js", "ACTIONS", Action),
        ("operations/operation.js", "KINDS", Kind),
        ("operations/operation.js", "OUTCOMES", OutcomeName),
        ("operations/operation.js", "STATES", State),
        ("webhooks/webhook.js", "DELIVERY_STATES", DeliveryState),
        ("webhooks/webhook.js", "DISABLED_REASONS", DisabledReason),
        ("webhooks/webhook.js", "EVENT_TYPES", EventType),
    ],
)
def test_list_has_every_value_of_the_enum_once(script: str, name: str, enum: type[StrEnum]) -> None:
    assert sorted(read_list(script, name)) == sorted(enum)


@pytest.mark.parametrize(
    ("messages", "prefix", "values"),
    [
        ("api_keys/messages.js", "scope.", Scope),
        ("imports/messages.js", "dates.", DateFormat),
        ("language/words.js", "event.", EventType),
        ("language/words.js", "status.", Status),
        ("operations/messages.js", "kind.", [*Kind, *Action]),
        ("operations/messages.js", "state.", State),
        ("webhooks/messages.js", "event.", [TEST_EVENT]),
        ("webhooks/messages.js", "state.", ["enabled", "disabled", *DisabledReason]),
    ],
)
def test_messages_name_every_value_and_no_other(messages: str, prefix: str, values: Iterable[str]) -> None:
    named = [key.removeprefix(prefix) for key in MESSAGES[messages] if key.startswith(prefix)]
    assert sorted(named) == sorted(values)


def test_messages_name_every_outcome() -> None:
    keys = MESSAGES["operations/messages.js"].keys()
    assert {f"outcome.{name}" for name in [*OutcomeName, *CHANGES]} <= keys
    for key in keys:
        if found := re.match(r"outcome\.would\.(\w+)", key):
            assert found[1] in [*OutcomeName, *CHANGES], key


def test_changes_are_what_outcomes_are_filtered_by() -> None:
    assert read_list("operations/operation.js", "CHANGES") == CHANGES


def test_actions_of_one_learner_are_bulk_actions() -> None:
    assert set(read_list("learners/learner.js", "ACTIONS")) < set(Action)


def test_rejected_outcomes_are_outcomes() -> None:
    assert set(read_list("operations/operation.js", "REJECTED")) <= set(OutcomeName)


def test_problem_codes_are_in_the_catalogue() -> None:
    assert create_app is not None  # importing it defines every problem
    codes = read_list("api/problem.js", "CODES")
    assert codes == sorted(set(codes))
    assert set(codes) <= CATALOGUE.keys()


def test_code_compares_with_listed_problem_codes_only() -> None:
    compared = {
        code
        for text in SCRIPTS.values()
        for code in re.findall(r"\bcode [!=]== \"([\w-]+)\"|isProblem\(\w+, \"([\w-]+)\"\)", text)
        for code in code
        if code
    }
    assert compared == set(read_list("api/problem.js", "CODES"))


def test_event_type_of_a_test_is_the_one_that_is_sent() -> None:
    assert f'export const TEST = "{TEST_EVENT}"' in SCRIPTS["webhooks/webhook.js"]
