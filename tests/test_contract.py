"""The service keeps the contract that its own OpenAPI document states, whatever it is sent."""

from contextlib import suppress
from functools import cache
from itertools import cycle
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from app.learners.feed import FeedEntry
from app.main import create_app
from app.platform.problems import CATALOGUE
from app.settings import Settings
from app.webhooks.dispatcher import new_delivery
from app.webhooks.repository import insert_deliveries
from tests.support.service import Api

pytestmark = pytest.mark.anyio

REQUESTS = 8  # of what is right, and as many of what is wrong, for each operation
Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Operation]
PROBLEM = "application/problem+json"


def read_operations() -> list[Operation]:
    """The operations of the document, as everyone may use them: the administrator's key is added here."""
    document = create_app(Settings(database_url="sqlite:///unused/rollcall.db")).openapi()
    for methods in document["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    return [each.ok() for each in found if isinstance(each, Ok)]


OPERATIONS = read_operations()
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# An import judges each row by itself: a row that is wrong gets the outcome `invalid`, and the answer is 200.
JUDGES_EACH_ROW = {"POST /imports/json"}


@cache
def draw(label: str, mode: GenerationMode) -> list[AnyCase]:
    """The same requests in every run, and on both databases."""
    (operation,) = (each for each in OPERATIONS if each.label == label)
    cases: list[AnyCase] = []

    @settings(
        max_examples=REQUESTS,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def collect(case: AnyCase) -> None:
        cases.append(case)

    with suppress(Unsatisfiable):  # where there is nothing to send, there is nothing wrong to send
        collect()
    return cases


@pytest.fixture
async def known_ids(api: Api) -> dict[str, str]:
    """Ids that there are, so that not every answer is a 404."""
    learner = await api.create(username="a.okafor", first_name="Adaeze", expires_on="2027-01-31")
    imported = await api.import_csv("Username,Active\na.okafor,No\nb.lindqvist,Maybe\n")
    key = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["admin"]})).json()
    # Nobody has this name, so that nothing is sent to anybody.
    webhook = (await api.client.post("/webhooks", json={"url": "https://nobody.invalid/"})).json()
    sent = new_delivery(
        webhook["id"], FeedEntry(1, learner["id"], "learner.created"), api.service.clock.now()
    )
    await api.service.database.write(lambda connection: insert_deliveries(connection, [sent]))
    return {
        "webhook_id": webhook["id"],
        "delivery_id": sent.id,
        "learner_id": learner["id"],
        "operation_id": imported["id"],
        "key_id": key["id"],
        "code": "learner-expired",
    }


async def send(api: Api, case: AnyCase) -> httpx.Response:
    """What any client would send, byte by byte, with the key of an administrator."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://rollcall.test")).prepare()
    headers: Any = {
        name: value for name, value in prepared.headers.items() if name.lower() != "authorization"
    }
    content: Any = prepared.body or b""
    return await api.client.request(str(prepared.method), str(prepared.url), content=content, headers=headers)


COMMON = {"type", "code", "title", "status", "detail", "instance"}
FRAMING = {"content-type", "content-length", "x-content-type-options", "connection"}


def check(case: AnyCase, answer: httpx.Response) -> None:
    """Status, header fields, content type and body are as the document says, and so is the kind of problem."""
    try:
        rejects_all = [] if case.operation.label in JUDGES_EACH_ROW else [checks.negative_data_rejection]
        case.validate_response(answer, checks=[*CHECKS, *rejects_all])
    except FailureGroup as failures:
        raise AssertionError(str(failures)) from None
    documented = case.operation.definition.raw["responses"][str(answer.status_code)]
    assert set(answer.headers) - FRAMING <= {name.lower() for name in documented["headers"]}
    if answer.is_error:
        assert "Input should" not in answer.text, "a type of error without a sentence in wording.py"
        assert answer.headers["Content-Type"] == PROBLEM
        problem = answer.json()
        assert problem["code"] in documented["content"][PROBLEM]["examples"], answer.text
        members = CATALOGUE[problem["code"]].members
        own = set(members.model_fields) if members else set()
        assert set(problem) - {"errors"} == COMMON | own, answer.text


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
async def test_every_answer_is_as_the_document_says(
    operation: Operation, mode: GenerationMode, api: Api, known_ids: dict[str, str]
) -> None:
    for case, takes_known_ids in zip(draw(operation.label, mode), cycle([True, False]), strict=False):
        if takes_known_ids:
            case.path_parameters |= {name: known_ids[name] for name in case.path_parameters}
        check(case, await send(api, case))
