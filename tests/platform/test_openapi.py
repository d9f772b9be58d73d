"""The problems and headers in openapi.yaml are those that the service answers with."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.organizations.api_keys import Scope, new_secret
from app.platform.problems import CATALOGUE
from tests.support.service import Api, run_service

pytestmark = pytest.mark.anyio

NOBODY = "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    described: dict[str, Any] = api.service.app.openapi()
    return described


async def provoke(api: Api) -> AsyncIterator[tuple[str, str, httpx.Response]]:
    """Yield answers that equal an example of the document: method, path and answer."""
    client = api.client
    expired = await api.create(username="a.okafor", external_id="HR-1003", expires_on="2026-10-31")
    path = f"/learners/{expired['id']}"
    for number in range(7):
        await client.patch(path, json={"first_name": f"Ada {number}"})
    stale = {"If-Match": '"7.expired.0"'}
    yield "post", "/learners", await client.post("/learners", json={"username": "a.okafor"})
    taken = {"username": "b.lindqvist", "external_id": "HR-1003"}
    yield "patch", "/learners/{learner_id}", await client.patch(path, json={}, headers=stale)
    yield "post", "/learners", await client.post("/learners", json=taken)
    yield "post", "/learners/{learner_id}/activate", await client.post(f"{path}/activate")
    yield "get", "/learners/{learner_id}", await client.get(f"/learners/{NOBODY}")
    yield "delete", "/api-keys/{key_id}", await client.delete(f"/api-keys/{NOBODY}")
    yield "get", "/operations/{operation_id}", await client.get(f"/operations/{NOBODY}")
    yield "get", "/problems/{code}", await client.get("/problems/nonsense")
    yield "get", "/problems", await client.get("/problems", headers={"Accept": "image/png"})
    yield "get", "/learners", await client.get("/learners", headers={"Accept": "application/xml"})
    yield "get", "/learners", await client.get("/learners", params={"cursor": "x"})
    yield "get", "/learners", await client.get("/learners", params={"colour": "red"})
    yield "get", "/me", await client.get("/me", params={"colour": "red"})
    plain = {"Content-Type": "text/plain"}
    yield "post", "/api-keys", await client.post("/api-keys", content="x", headers=plain)
    yield "post", "/imports/csv", await client.post("/imports/csv", json=[])
    csv = {"Content-Type": "text/csv"}
    yield "post", "/imports/csv", await client.post("/imports/csv", content="Name,Active\n", headers=csv)
    key = {"Idempotency-Key": "one"}
    await client.post("/learners", json={"username": "x"}, headers=key)
    yield "post", "/learners", await client.post("/learners", json={"username": "y"}, headers=key)
    async with api.service.client(new_secret()) as stranger:
        yield "get", "/me", await stranger.get("/me")
    async with await api.client_with(Scope.LEARNERS_READ, name="hr-feed") as reader:
        yield "post", "/learners", await reader.post("/learners", json={"username": "x"})


async def test_documented_example_equals_the_answer(api: Api, document: dict[str, Any]) -> None:
    examples = document["components"]["examples"]
    async for method, path, answer in provoke(api):
        said = answer.json()
        response = document["paths"][path][method]["responses"][str(answer.status_code)]
        shown = response["content"]["application/problem+json"]["examples"][said["code"]]
        value = shown.get("value") or examples[said["code"]]["value"]
        assert said | {"instance": value["instance"]} == value, (method, path)


async def test_additional_members_are_in_the_problem_schema(api: Api, document: dict[str, Any]) -> None:
    properties = document["components"]["schemas"]["Problem"]["properties"]
    async for method, path, answer in provoke(api):
        assert set(answer.json()) <= set(properties), (method, path)
    for kind in CATALOGUE.values():
        for name in kind.members.model_fields if kind.members else ():
            assert f"`{kind.code}`" in properties[name]["description"]
    example = document["components"]["examples"]["access-denied"]["value"]
    assert {"learner_id", "learner_status", "reason", "checked_at"} < set(example) <= set(properties)


async def test_headers_of_answers_are_documented(tmp_path: Path, anyio_backend: str) -> None:  # noqa: ARG001
    async with run_service(f"sqlite:///{tmp_path}/rollcall.db", rate_limit_per_minute=100) as service:
        organization = await service.found_organization()
        paths = service.app.openapi()["paths"]
        async with service.client(await service.issue_key(organization)) as client:
            key = {"Idempotency-Key": "one"}
            first = await client.post("/learners", json={"username": "x"}, headers=key)
            again = await client.post("/learners", json={"username": "x"}, headers=key)
            await client.post("/learners", json={"username": "y"})
            tag = {"If-None-Match": first.headers["ETag"]}
            one = "/learners/{learner_id}"
            everyone = {"action": "activate", "selection": {"filter": {}}}
            later = {"Prefer": "respond-async"}
            answers = [
                ("post", "/learners", again, {"ETag", "Location", "Idempotent-Replayed"}),
                ("get", one, await client.get(first.headers["Location"]), {"ETag"}),
                ("get", one, await client.get(first.headers["Location"], headers=tag), {"ETag"}),
                ("get", "/learners", await client.get("/learners?limit=1"), {"Link"}),
                (
                    "get",
                    "/learners",
                    await client.get("/learners", headers={"Accept": "text/csv"}),
                    {"Content-Disposition"},
                ),
                (
                    "post",
                    "/learners/bulk-actions",
                    await client.post("/learners/bulk-actions", json=everyone, headers=later),
                    {"Location"},
                ),
            ]
    for method, path, answer, expected in answers:
        expected |= {"RateLimit", "RateLimit-Policy", "X-Request-ID"}
        documented = set(paths[path][method]["responses"][str(answer.status_code)]["headers"])
        assert expected <= documented, (method, path, answer.status_code)
        assert {name.lower() for name in expected} <= set(answer.headers), (method, path, answer.status_code)


def test_operation_route_documents_location_and_retry_after(document: dict[str, Any]) -> None:
    for path in ("/learners/bulk-actions", "/imports/csv"):
        responses = document["paths"][path]["post"]["responses"]
        assert {"Location", "Retry-After"} <= set(responses["202"]["headers"])
        assert {"Retry-After", "Idempotent-Replayed"} <= set(responses["409"]["headers"])


def test_patch_documents_json_and_merge_patch(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        if "patch" in methods:
            content = methods["patch"]["requestBody"]["content"]
            assert set(content) == {"application/json", "application/merge-patch+json"}, path


async def test_wrong_method_is_documented_once(api: Api, document: dict[str, Any]) -> None:
    answer = await api.client.delete("/learners")
    documented = document["components"]["responses"]["method-not-allowed"]
    assert "method-not-allowed" in documented["content"]["application/problem+json"]["examples"]
    assert "Allow" in documented["headers"]
    shown = document["components"]["examples"]["method-not-allowed"]["value"]
    said = answer.json() | {"instance": shown["instance"]}
    assert said | {"detail": shown["detail"]} == shown
