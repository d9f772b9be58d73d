"""Which routes need a credential, and what openapi.yaml says about each of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
import yaml
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from typer.testing import CliRunner

from app.cli.main import commands
from app.main import create_app
from app.organizations.dependencies import AuthenticatedRoute, Requires
from app.platform.problems import CATALOGUE
from app.platform.routes import StrictRoute
from app.settings import Settings

ROOT = Path(__file__).parents[1]
PROBLEM = "application/problem+json"
# Routes that answer without a credential. All others need one.
OPEN = {
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.yaml",
    "/openapi.json",
    "/docs",
    "/docs/assets",
    "/docs/oauth2-redirect",
    "/problems",
    "/problems/{code}",
    "/console",
    "/console/{path:path}",
}
Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings(database_url="sqlite:///unused/rollcall.db"))


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    described: dict[str, Any] = app.openapi()
    return described


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


# Credentials


def dependencies(dependant: Dependant) -> Iterator[Any]:
    """Yield the functions on which a route depends, directly or not."""
    for each in dependant.dependencies:
        yield each.call
        yield from dependencies(each)


def test_route_needs_a_credential_unless_it_is_listed(app: FastAPI) -> None:
    for route in iter_route_contexts(app.routes):
        is_authenticated = isinstance(route.original_route, AuthenticatedRoute)
        assert is_authenticated is not (route.path in OPEN), route.path


def test_authenticated_route_takes_the_principal_and_names_its_scopes(app: FastAPI) -> None:
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, AuthenticatedRoute):
            # A route may name the principal that one of its dependencies takes, too.
            required = {each for each in dependencies(route.dependant) if isinstance(each, Requires)}
            assert len(required) == 1, route.path


def test_authenticated_route_is_strict(app: FastAPI) -> None:
    for route in iter_route_contexts(app.routes):
        assert isinstance(route.original_route, StrictRoute) is not (route.path in OPEN), route.path


# The document


def test_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_openapi_yaml_is_current() -> None:
    printed = CliRunner().invoke(commands, ["openapi"])
    assert printed.exit_code == 0
    assert (ROOT / "openapi.yaml").read_text(encoding="utf-8") == printed.stdout, "run: make openapi"


def test_yaml_and_json_are_equal(document: dict[str, Any]) -> None:
    as_yaml = CliRunner().invoke(commands, ["openapi", "--format", "yaml"])
    as_json = CliRunner().invoke(commands, ["openapi", "--format", "json"])
    assert yaml.safe_load(as_yaml.stdout) == json.loads(as_json.stdout) == document


def test_document_has_every_route_except_pages(app: FastAPI, operations: list[Operation]) -> None:
    routes = {
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if method != "HEAD"
    }
    pages = ("/", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/console", "/console/{path:path}")
    hidden = {("GET", path) for path in pages}
    assert {(method, path) for method, path, _ in operations} == routes - hidden


def test_operation_has_summary_description_and_tag(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(set(names)) == len(names)
    for method, path, operation in operations:
        assert 5 < len(operation["summary"]) < 60, (method, path)
        assert not operation["summary"].endswith("."), (method, path)
        assert operation["description"].endswith("."), (method, path)
        assert set(operation["tags"]) <= tags, (method, path)
        assert len(operation["tags"]) == 1, (method, path)


def test_parameter_has_a_description(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (method, path, parameter["name"])


def resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return the node, or the node that its `$ref` names."""
    while "$ref" in node:
        target: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def examples(document: dict[str, Any], media: dict[str, Any]) -> list[Any]:
    """Return the examples of a media type object or of its schema."""
    if "example" in media:
        return [media["example"]]
    if "examples" in media:
        return [resolve(document, each)["value"] for each in media["examples"].values()]
    schema = media.get("schema", {})
    alternatives = [schema, *schema.get("anyOf", [])]
    return [example for each in alternatives for example in resolve(document, each).get("examples", [])]


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every content of an operation: its place, media type and media type object."""
    for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
        yield "request", media_type, media
    for status, response in operation["responses"].items():
        for media_type, media in response.get("content", {}).items():
            yield status, media_type, media


def test_body_and_answer_have_examples(document: dict[str, Any], operations: list[Operation]) -> None:
    for method, path, operation in operations:
        for place, media_type, media in contents(operation):
            assert examples(document, media), (method, path, place, media_type)


def test_example_matches_its_schema(document: dict[str, Any], operations: list[Operation]) -> None:
    for method, path, operation in operations:
        for place, media_type, media in contents(operation):
            schema = media["schema"] | {"components": document["components"]}
            for example in examples(document, media):
                assert jsonschema_rs.is_valid(schema, example), (method, path, place, media_type, example)


def codes(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, set[str]]:
    """Return the documented problems by status."""
    return {
        place: {example["code"] for example in examples(document, media)}
        for place, media_type, media in contents(operation)
        if media_type == PROBLEM
    }


def test_documented_problems_have_the_status_of_the_catalogue(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    for method, path, operation in operations:
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == [PROBLEM], (method, path, status)
        for status, documented in codes(document, operation).items():
            assert {CATALOGUE[code].status for code in documented} == {int(status)}, (method, path)
            description = operation["responses"][status]["description"]
            assert all(f"`{code}`" in description for code in documented), (method, path)


def test_operation_documents_the_problems_of_its_parts(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    for method, path, operation in operations:
        expected = {"internal-error", "overloaded"}
        parameters = {each["name"] for each in operation.get("parameters", [])}
        if "security" in operation:
            expected |= {
                "invalid-request",
                "not-authenticated",
                "not-permitted",
                "rate-limited",
                "database-unavailable",
            }
        if "requestBody" in operation:
            expected |= {"payload-too-large", "unsupported-media-type"}
        if "{" in path:
            expected |= {"not-found"}
        if "cursor" in parameters:
            expected |= {"invalid-cursor"}
        if "Idempotency-Key" in parameters:
            expected |= {"idempotency-key-reused", "idempotency-key-in-progress"}
        if "If-Match" in parameters:
            expected |= {"version-mismatch"}
        if len(operation["responses"].get("200", {}).get("content", {})) > 1:
            expected |= {"not-acceptable"}
        documented = set().union(*codes(document, operation).values())
        assert expected <= documented, (method, path, expected - documented)


def test_problem_of_the_catalogue_is_documented(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    documented = set().union(*(set().union(*codes(document, each).values()) for _, _, each in operations))
    # No request is answered with these: other methods, refused imports, and problems of outcomes.
    (elsewhere,) = document["components"]["responses"]
    assert elsewhere == "method-not-allowed"
    refused = {"too-many-deactivations", "unconfirmed-encoding"}
    elsewhere = (
        {elsewhere, "changed-since"}
        | refused
        | {code for code, kind in CATALOGUE.items() if kind.explanation.endswith("The row was not applied.")}
    )
    assert set(CATALOGUE) - documented == elsewhere


def test_answer_that_asks_to_wait_has_its_headers(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        for status, header in (("401", "WWW-Authenticate"), ("429", "Retry-After"), ("503", "Retry-After")):
            if status in operation["responses"]:
                assert header in operation["responses"][status]["headers"], (method, path, status)
        assert all("X-Request-ID" in each["headers"] for each in operation["responses"].values()), (
            method,
            path,
        )
