"""The OpenAPI document: which problems each operation can answer with, and the headers of each answer."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, TypedDict

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic.json_schema import models_json_schema

from app.platform.problems import (
    CATALOGUE,
    DATABASE_UNAVAILABLE,
    EXAMPLES,
    INTERNAL_ERROR,
    MEDIA_TYPE,
    METHOD_NOT_ALLOWED,
    NOT_AUTHENTICATED,
    NOT_PERMITTED,
    OVERLOADED,
    PAYLOAD_TOO_LARGE,
    RATE_LIMITED,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    ProblemDocument,
    ProblemType,
)
from app.platform.routes import unknown_parameters

Responses = dict[int | str, dict[str, Any]]


class Tag(TypedDict):
    """A group of operations in the document."""

    name: str
    description: str


def answers(
    *problems: ProblemType | Problem,
    ok: dict[str, Any] | None = None,
    headers: tuple[str, ...] = (),
    status: int = 200,
) -> Responses:
    """Return the `responses` of a route: these problems, and the media types and headers of its successful answer.

    A Problem is its own example. A ProblemType has its example in the catalogue.
    """
    documented: Responses = {}
    for problem in sorted(problems, key=lambda each: _kind_of(each).status):
        _add_problem(documented.setdefault(_kind_of(problem).status, {}), problem)
    if ok is not None:
        documented.setdefault(status, {})["content"] = ok
    if headers:
        documented.setdefault(status, {})["headers"] = header_fields(*headers)
    return documented


def header_fields(*names: str) -> dict[str, Any]:
    """Return the `headers` of a response."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _kind_of(problem: ProblemType | Problem) -> ProblemType:
    return problem.type if isinstance(problem, Problem) else problem


def _add_problem(response: dict[str, Any], problem: ProblemType | Problem) -> None:
    kind = _kind_of(problem)
    empty = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}}
    examples = response.setdefault("content", empty)[MEDIA_TYPE]["examples"]
    shared = {"$ref": f"#/components/examples/{kind.code}"}
    examples.setdefault(kind.code, _example(problem) if isinstance(problem, Problem) else shared)
    response["description"] = "; ".join(f"`{code}`: {CATALOGUE[code].title}" for code in examples)


def _example(problem: Problem) -> dict[str, Any]:
    return {
        "summary": problem.type.title,
        "value": problem.document("019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"),
    }


# What holds for every address, in the description of the document as a whole.
_CONVENTIONS = """\
**Errors** are always `application/problem+json` (RFC 9457). `type` is the address of a page that explains the
problem. In `errors`, `pointer` says where the fault is: a JSON Pointer into the body, `?name` for a query parameter,
or `header:Name` for a header.

**Paging** uses cursors: follow `next_cursor`, or the `Link` header, until it is null.

**Unknown** members and query parameters are rejected, so a mistyped filter never selects everyone. A
parameter with one value that is sent twice is also rejected, and so is a body where none is expected.

**Methods**: HEAD works wherever GET does, with the same headers. Any other method returns status 405 with `Allow`
(`#/components/responses/method-not-allowed`).

**Request ids**: send `X-Request-ID` (up to 128 letters, digits and `._~:+/=-`), or the service makes one. It is
in every response, problem and log line.

**Rate limits** are in the `RateLimit` and `RateLimit-Policy` headers of every authenticated response.
"""
_HEADERS = {
    "Accept": "The media types that this address accepts.",
    "Allow": "The methods that this address supports.",
    "Cache-Control": "`no-store`: do not store the response. It contains a secret, or is valid only now.",
    "Content-Disposition": "The file name. Sent with `text/csv`.",
    "ETag": "The entity tag of this response. Send it as `If-Match` or `If-None-Match`.",
    "Idempotent-Replayed": "`true` if this repeats the first response for this `Idempotency-Key`.",
    "Link": '`<…>; rel="next"` (RFC 8288): the next page. Absent on the last page.',
    "Location": "The address of the new resource.",
    "RateLimit": "The remaining requests `r` for the next `t` seconds. Absent if there is no limit.",
    "RateLimit-Policy": "The limit: `q` requests in `w` seconds. Absent if there is no limit.",
    "Retry-After": "How many seconds to wait before the next request.",
    "WWW-Authenticate": "How to authenticate (RFC 6750).",
    "X-Accel-Buffering": "`no`: tells a proxy to pass events on at once.",
    "X-Request-ID": "The id of the request.",
}
_HEADERS_OF_STATUS = {
    "202": ("Location", "Retry-After"),
    "401": ("WWW-Authenticate",),
    "415": ("Accept",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


def describe(introduction: str, tags: Sequence[Tag]) -> dict[str, Any]:
    """Return the application's arguments that describe it: the introduction, the conventions and the tags."""
    return {
        "description": f"{introduction}\n{_CONVENTIONS}",
        "openapi_tags": list(tags),
        "generate_unique_id_function": _name_operation,
    }


def _name_operation(route: APIRoute) -> str:
    # Generated clients name their methods by it.
    return route.name


def build_document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document. Every operation names every problem that it can answer with."""
    if app.openapi_schema is None:
        framework = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        described = deepcopy(framework)  # the framework's document shares parts with the routes
        components = described["components"]
        for unused in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(unused, None)
        components["schemas"].update(_problem_schemas())
        _restore_examples(app, components["schemas"])
        components["headers"] = _header_objects()
        components["examples"] = {code: _example(problem) for code, problem in sorted(EXAMPLES.items())}
        components["responses"] = {METHOD_NOT_ALLOWED.code: _wrong_method()}
        for path in described["paths"].values():
            for method, operation in path.items():
                _complete(method, operation)
        app.openapi_schema = described
    return app.openapi_schema


def _restore_examples(app: FastAPI, schemas: dict[str, Any]) -> None:
    # The framework removes every null from the document, also from examples.
    routes = iter_route_contexts(app.routes)
    answered = [model for route in routes if (model := getattr(route, "response_model", None)) is not None]
    _, definitions = models_json_schema([(model, "serialization") for model in answered])
    for name, schema in definitions["$defs"].items():
        if "examples" in schema:
            schemas[name]["examples"] = schema["examples"]


def _header_objects() -> dict[str, Any]:
    return {
        name: {
            "schema": {"type": "integer" if name == "Retry-After" else "string"},
            "description": description,
        }
        for name, description in _HEADERS.items()
    }


def _wrong_method() -> dict[str, Any]:
    # No operation refers to this: it is the answer to a method that an address does not support.
    response: dict[str, Any] = {"headers": header_fields("Allow", "X-Request-ID")}
    _add_problem(response, METHOD_NOT_ALLOWED)
    return response


def _problem_schemas() -> dict[str, Any]:
    with_members = [(kind, kind.members) for kind in CATALOGUE.values() if kind.members is not None]
    _, definitions = models_json_schema(
        [(ProblemDocument, "serialization"), *((model, "serialization") for _, model in with_members)],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = definitions["$defs"]
    problem = schemas.pop(ProblemDocument.__name__)
    # Several kinds may have a member with the same name, and may describe it alike.
    told: dict[str, dict[str, list[str]]] = {}
    for kind, model in with_members:
        for name, schema in schemas[model.__name__]["properties"].items():
            meanings = told.setdefault(name, {})
            meanings.setdefault(schema.get("description", ""), []).append(f"`{kind.code}`")
            described = " ".join(
                f"Only with {' and '.join(codes)}. {meaning}".rstrip() for meaning, codes in meanings.items()
            )
            problem["properties"][name] = schema | {"description": described}
    for _, model in with_members:
        schemas.pop(model.__name__, None)  # several kinds may share one
    return {"Problem": problem, **schemas}


def _complete(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    parameters = operation.get("parameters", [])
    if _is_generated(responses.get("422")):
        del responses["422"]
    common: list[ProblemType | Problem] = [INTERNAL_ERROR, OVERLOADED]
    if "security" in operation:
        in_query = [each["name"] for each in parameters if each["in"] == "query"]
        common += [unknown_parameters(["colour"], in_query)]
        common += [NOT_AUTHENTICATED, NOT_PERMITTED, RATE_LIMITED, DATABASE_UNAVAILABLE]
    if "requestBody" in operation:
        common += [PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE]
        content = operation["requestBody"]["content"]
        if method == "patch":
            content["application/merge-patch+json"] = deepcopy(content["application/json"])
    for problem in common:
        _add_problem(responses.setdefault(str(_kind_of(problem).status), {}), problem)
    for status, response in responses.items():
        response.setdefault("headers", {}).update(header_fields(*_headers(operation, status, response)))
    operation["responses"] = dict(sorted(responses.items()))


def _headers(operation: dict[str, Any], status: str, response: dict[str, Any]) -> Iterator[str]:
    """Yield the headers that follow from the documented operation. A route documents its other headers itself."""
    parameters = {each["name"] for each in operation.get("parameters", [])}
    is_good = status.startswith("2")
    yield from _HEADERS_OF_STATUS.get(status, ())
    if is_good and "cursor" in parameters:
        yield "Link"
    if is_good and "202" in operation["responses"]:
        yield "Location"
    if is_good and "text/csv" in response.get("content", {}):
        yield "Content-Disposition"
    if is_good and "text/event-stream" in response.get("content", {}):
        yield from ("Cache-Control", "X-Accel-Buffering")
    if "Idempotency-Key" in parameters and (is_good or status in ("409", "422")):
        yield "Idempotent-Replayed"
    if "idempotency-key-in-progress" in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}):
        yield "Retry-After"
    if "security" in operation and status != "401":
        yield from ("RateLimit-Policy", "RateLimit")
    yield "X-Request-ID"


def _is_generated(response: dict[str, Any] | None) -> bool:
    # The framework's own description of a 422, which the service never sends.
    return response is not None and "application/json" in response.get("content", {})
