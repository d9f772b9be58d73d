"""How routes document their answers: every problem that they can give, with an example of each."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic.json_schema import models_json_schema

from app.platform.problems import (
    CATALOGUE,
    DATABASE_UNAVAILABLE,
    INTERNAL_ERROR,
    INVALID_REQUEST,
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

Responses = dict[int | str, dict[str, Any]]

CSV_CONTENT: dict[str, Any] = {
    "text/csv": {
        "schema": {"type": "string"},
        "example": "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\r\n"
        "a.okafor,HR-1003,a.okafor@example.org,Adaeze,Okafor,Yes,\r\n",
    }
}


def answers(*problems: ProblemType, ok: dict[str, Any] | None = None, status: int = 200) -> Responses:
    """The `responses` of a route: these problems, and further media types of its good answer."""
    documented: Responses = {}
    by_status: dict[int, list[ProblemType]] = {}
    for problem in problems:
        by_status.setdefault(problem.status, []).append(problem)
    for code, kinds in sorted(by_status.items()):
        documented[code] = problem_response(kinds)
    if ok is not None:
        documented[status] = {"content": ok}
    return documented


def problem_response(kinds: list[ProblemType]) -> dict[str, Any]:
    """The documentation of one status code that these kinds of problem share."""
    examples = {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds}
    return {
        "description": "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
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
    {"name": "operations", "description": "Work over many learners: bulk actions and CSV imports."},
    {"name": "administration", "description": "The organization and its API keys."},
    {"name": "service", "description": "Health, metrics and this description. No credential needed."},
]
_REQUEST_ID = {"schema": {"type": "string"}, "description": "The id of the request."}
_RETRY_AFTER = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
_HEADERS_OF_STATUS: dict[str, dict[str, Any]] = {
    "202": {"Retry-After": _RETRY_AFTER},
    "401": {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "The challenge (RFC 6750)."}},
    "429": {"Retry-After": _RETRY_AFTER},
    "503": {"Retry-After": _RETRY_AFTER},
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
        described = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        schemas = described["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas.update(_problem_schemas())
        _restore_examples(app, schemas)
        described["components"]["examples"] = _problem_examples()
        described["components"]["responses"] = {METHOD_NOT_ALLOWED.code: _wrong_method()}
        for path in described["paths"].values():
            for operation in path.values():
                _complete(operation)
        described["components"]["securitySchemes"]["ApiKey"]["bearerFormat"] = "rollcall_…"
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


def _wrong_method() -> dict[str, Any]:
    # No operation has it: it is what an address answers to a method for which it has none.
    allow = {"schema": {"type": "string"}, "description": "The methods that the address answers to."}
    return problem_response([METHOD_NOT_ALLOWED]) | {"headers": {"Allow": allow, "X-Request-ID": _REQUEST_ID}}


def _problem_examples() -> dict[str, Any]:
    instance = "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"
    return {
        kind.code: {"summary": kind.title, "value": Problem(kind, kind.explanation).document(instance)}
        for kind in CATALOGUE.values()
    }


def _problem_schemas() -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(ProblemDocument, "serialization")], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return {"Problem": schemas["ProblemDocument"], "FieldError": schemas["FieldError"]}


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    is_authenticated = "security" in operation
    common = [INTERNAL_ERROR, OVERLOADED]
    if is_authenticated:
        common += [INVALID_REQUEST, NOT_AUTHENTICATED, NOT_PERMITTED, RATE_LIMITED, DATABASE_UNAVAILABLE]
    if "requestBody" in operation:
        common += [PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE]
    if _is_generated(responses.get("422")):
        del responses["422"]
    by_status: dict[int, list[ProblemType]] = {}
    for problem in common:
        by_status.setdefault(problem.status, []).append(problem)
    for status, kinds in by_status.items():
        documented = responses.get(str(status), {}).get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
        known = [CATALOGUE[code] for code in documented]
        responses[str(status)] = problem_response(known + [kind for kind in kinds if kind not in known])
    for status, response in responses.items():
        headers = response.setdefault("headers", {})
        headers |= _HEADERS_OF_STATUS.get(status, {}) | {"X-Request-ID": _REQUEST_ID}
    operation["responses"] = dict(sorted(responses.items()))


def _is_generated(response: dict[str, Any] | None) -> bool:
    # The framework's own description of a 422, which is not what we answer.
    return response is not None and "application/json" in response.get("content", {})
