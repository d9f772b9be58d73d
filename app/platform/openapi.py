"""How routes document their answers: every problem that they can give, with an example of each."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
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

CSV_CONTENT: dict[str, Any] = {
    "text/csv": {
        "schema": {"type": "string"},
        "example": "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\r\n"
        "a.okafor,HR-1003,a.okafor@example.org,Adaeze,Okafor,Yes,\r\n",
    }
}


def answers(
    *problems: ProblemType | Problem,
    ok: dict[str, Any] | None = None,
    headers: tuple[str, ...] = (),
    status: int = 200,
) -> Responses:
    """The `responses` of a route: these problems, and further media types and header fields of its good answer.

    A problem as it is answered is its own example; a kind of problem has one in the catalogue.
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
    """How a response documents these header fields."""
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


_DESCRIPTION = """\
Rollcall decides who may log in to a learning portal, and lets training administrators, HR systems and
scripts change that: for one learner, for a selection, or by CSV.

**Statuses** are resolved at each read, never stored: `active`, `activated` (has access, has not used it yet),
`deactivated`, `expired`. An expired account comes back only by a new expiration date, and then to the status
that `restores_to` names. Deactivating takes access away with the answer and deletes nothing.

**Errors** are `application/problem+json` (RFC 9457), every one of them; `type` is a page that explains it. In
`errors`, `pointer` is a JSON Pointer into the body, `?name` for a query parameter (for all values of one that is
repeated), `header:Name` for a header.

**Paging** is by cursor: follow `next_cursor`, or the `Link` header, until it is null.

**Unknown** members and query parameters are refused, so that a mistyped filter never selects everyone. So are
a parameter sent twice that takes one value, and a body where none is taken.

**Methods**: HEAD works wherever GET does, and answers the same header fields. Any other method that an address does
not have gets `#/components/responses/method-not-allowed`, status 405, with `Allow`.

**Scopes**: each operation says which it needs, and names them in `x-required-scopes`: any one of those suffices,
and `admin` holds them all.

**Request ids**: send `X-Request-ID` (up to 128 letters, digits and `._~:+/=-`) or get one; it is in every answer,
problem and log line.

**Rate limits** stand in the `RateLimit` and `RateLimit-Policy` header fields of every authenticated answer.
"""
_TAGS = [
    {"name": "learners", "description": "One learner, and lists, counts and exports of many."},
    {"name": "access", "description": "The portal's question: may this learner enter?"},
    {"name": "operations", "description": "Work over many learners: bulk actions, CSV imports and reverts."},
    {"name": "webhooks", "description": "Events, sent to where an organization wants to have them."},
    {"name": "administration", "description": "The organization and its API keys."},
    {"name": "service", "description": "Health, metrics and this description. No credential needed."},
]
_HEADERS = {
    "Accept": "The media types that would have been taken.",
    "Allow": "The methods that the address answers to.",
    "Cache-Control": "`no-store`: the answer holds a secret, or is of this moment only.",
    "Content-Disposition": "With `text/csv`: the name of the file.",
    "ETag": "The entity tag of the learner as answered, for `If-Match` and `If-None-Match`.",
    "Idempotent-Replayed": "`true` where this is the first answer to this `Idempotency-Key`, given again.",
    "Link": '`<…>; rel="next"` (RFC 8288): the next page. Absent on the last one.',
    "Location": "The address of what was made.",
    "RateLimit": "What is left: requests `r`, for the next `t` seconds. Absent where there is no limit.",
    "RateLimit-Policy": "The limit: `q` requests in `w` seconds. Absent where there is no limit.",
    "Retry-After": "Seconds to wait.",
    "WWW-Authenticate": "The challenge (RFC 6750).",
    "X-Accel-Buffering": "`no`: a proxy is to pass events on as they come.",
    "X-Request-ID": "The id of the request.",
}
_HEADERS_OF_STATUS = {
    "202": ("Location", "Retry-After"),
    "401": ("WWW-Authenticate",),
    "415": ("Accept",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


def describe() -> dict[str, Any]:
    """What the document says of the service as a whole."""
    return {
        "description": _DESCRIPTION,
        "openapi_tags": _TAGS,
        # Generated clients name their methods by it.
        "generate_unique_id_function": lambda route: route.name,
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, in which every operation names every problem that it can answer with."""
    if app.openapi_schema is None:
        framework = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        described = deepcopy(framework)  # it shares parts with the routes
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
        components["securitySchemes"]["ApiKey"]["bearerFormat"] = "rollcall_…"
        app.openapi_schema = described
    return app.openapi_schema


def _restore_examples(app: FastAPI, schemas: dict[str, Any]) -> None:
    # The framework leaves every null out of the document, those of examples included.
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
    # No operation has it: it is what an address answers to a method for which it has none.
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
    for kind, model in with_members:
        for name, schema in schemas.pop(model.__name__)["properties"].items():
            told = f"With `{kind.code}`. {schema.get('description', '')}".rstrip()
            # Several kinds may have a member of the same name.
            told_before = problem["properties"].get(name, {}).get("description")
            described = told if told_before is None else f"{told_before} {told}"
            problem["properties"][name] = schema | {"description": described}
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
    """What follows from the operation as it is documented; all else stands at its route."""
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
    # The framework's own description of a 422, which is not what we answer.
    return response is not None and "application/json" in response.get("content", {})
