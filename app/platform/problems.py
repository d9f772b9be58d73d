"""Errors on the wire: RFC 9457 problem details, and the catalogue of their kinds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from app.platform.database_errors import is_unavailable
from app.platform.state import StateKey
from app.platform.wording import describe_errors, describe_unreadable_body

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem: its code, HTTP status, title, the text of its page, and its additional members."""

    code: str
    status: int
    title: str
    explanation: str
    members: type[BaseModel] | None = None

    @property
    def uri(self) -> str:
        """The problem's `type` (RFC 9457 section 3.1.1): the address of its page."""
        return f"/problems/{self.code}"


CATALOGUE: dict[str, ProblemType] = {}


def define_problem(
    code: str, status: int, title: str, explanation: str, members: type[BaseModel] | None = None
) -> ProblemType:
    """Add a kind of problem to the catalogue and return it. Pages and openapi.yaml are made from the catalogue.

    `members` describes its additional members (RFC 9457 section 3.2). Raises ValueError if `code` is taken.
    """
    if code in CATALOGUE:
        raise ValueError(f"the problem {code} is defined twice")
    CATALOGUE[code] = ProblemType(code, status, title, explanation, members)
    return CATALOGUE[code]


@dataclass(eq=False)
class Problem(Exception):
    """A problem to answer with: `detail` says what is wrong and what to do."""

    type: ProblemType
    detail: str
    errors: Sequence[Mapping[str, str]] = ()
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """Return the problem document; `instance` is the request id."""
        document: dict[str, Any] = {
            "type": self.type.uri,
            "code": self.type.code,
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
        }
        if instance is not None:
            document["instance"] = instance
        if self.errors:
            document["errors"] = list(self.errors)
        return document | dict(self.members)

    def response(self, instance: str | None) -> Response:
        """Return the HTTP response."""
        return Response(
            orjson.dumps(self.document(instance), default=str),
            status_code=self.type.status,
            media_type=MEDIA_TYPE,
            headers=dict(self.headers),
        )


EXAMPLES: dict[str, Problem] = {}


def illustrate(problem: Problem) -> None:
    """Show this problem in openapi.yaml as the example of its kind. Build it with the code that builds real ones."""
    EXAMPLES[problem.type.code] = problem


class FieldError(BaseModel):
    """One fault of a request, and where it is."""

    pointer: Annotated[
        str,
        Field(
            description="A JSON Pointer (RFC 6901) into the body, empty for the whole body; `?name` for a query "
            "parameter; `header:Name` for a header."
        ),
    ]
    detail: Annotated[str, Field(description="What is wrong, and what to send instead.")]


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: Annotated[
        str, Field(description="A page that explains the problem.", examples=["/problems/not-found"])
    ]
    code: Annotated[str, Field(description="The kind of problem, for programs. It never changes.")]
    title: Annotated[str, Field(description="The kind of problem, for people.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="What is wrong and what to do, for people.")]
    instance: Annotated[str | None, Field(description="The request id.")] = None
    errors: Annotated[
        list[FieldError] | None, Field(description="Every fault of the request, and where it is.")
    ] = None


class NotPermittedMembers(BaseModel):
    """The additional members of `not-permitted`."""

    required_scope: Annotated[str, Field(description="A scope that would be enough.")]


NOT_AUTHENTICATED = define_problem(
    "not-authenticated",
    401,
    "Not authenticated",
    "The request has no credential, or its credential is unknown, expired or revoked. Send "
    "`Authorization: Bearer <API key>`.",
)
NOT_PERMITTED = define_problem(
    "not-permitted",
    403,
    "Not permitted",
    "The credential is valid, but does not have the scope in `required_scope`. Ask an administrator for a key "
    "that has it.",
    NotPermittedMembers,
)
NOT_FOUND = define_problem(
    "not-found",
    404,
    "Not found",
    "This address does not exist, or your organization has nothing with this id. Check the path and the id.",
)
METHOD_NOT_ALLOWED = define_problem(
    "method-not-allowed",
    405,
    "Method not allowed",
    "This address does not support the method. The `Allow` header lists the methods that it supports.",
)
NOT_ACCEPTABLE = define_problem(
    "not-acceptable",
    406,
    "Not acceptable",
    "This address offers none of the media types in the `Accept` header. `detail` lists those it offers.",
)
REQUEST_TIMEOUT = define_problem(
    "request-timeout",
    408,
    "Request too slow",
    "The body did not come in fast enough, or stopped coming, and nothing was changed. Send the request again.",
)
PAYLOAD_TOO_LARGE = define_problem(
    "payload-too-large",
    413,
    "Payload too large",
    "The body is larger than this address accepts. `detail` states the limit.",
)
UNSUPPORTED_MEDIA_TYPE = define_problem(
    "unsupported-media-type",
    415,
    "Unsupported media type",
    "This address does not accept the body's `Content-Type`. The `Accept` header lists those it accepts.",
)
INVALID_REQUEST = define_problem(
    "invalid-request",
    422,
    "Invalid request",
    "Part of the request is missing, unknown or malformed. `errors` lists each fault. Unknown members and query "
    "parameters are rejected too, so a mistyped filter never selects everyone.",
)
RATE_LIMITED = define_problem(
    "rate-limited",
    429,
    "Too many requests",
    "This credential or organization has used all that it may use at once or in a minute. `detail` says what. Try "
    "again after `Retry-After` seconds.",
)
INTERNAL_ERROR = define_problem(
    "internal-error",
    500,
    "Internal error",
    "The service failed, and nothing was changed. Try again. If it fails again, tell the operator the request "
    "id. The service's log has it too.",
)
OVERLOADED = define_problem(
    "overloaded",
    503,
    "Overloaded",
    "The service is handling as many requests as it can. Try again after `Retry-After` seconds.",
)
DATABASE_UNAVAILABLE = define_problem(
    "database-unavailable",
    503,
    "Database unavailable",
    "The service cannot reach its database. Try again after `Retry-After` seconds.",
)

_RETRY_SHORTLY = {"Retry-After": "2"}

# The problem for each of a slice's own exceptions, by the exception's exact class.
Translations = Mapping[type[Exception], Callable[[Any], Problem]]

# Turns any exception into a problem.
TRANSLATE: StateKey[Callable[[Exception], Problem]] = StateKey("translate_problem")


def request_id_of(request: Request) -> str | None:
    """Return the request id, which log lines and the `X-Request-ID` header carry too."""
    return getattr(request.state, "request_id", None)


def install_problem_handlers(app: FastAPI, translations: Translations) -> None:
    """Answer every exception with a problem. `translations` covers the slices' own exceptions."""
    TRANSLATE.put(app, partial(_translate, translations))
    app.add_exception_handler(METHOD_NOT_ALLOWED.status, _answer_wrong_method)
    database_errors = (PoolTimeout, DBAPIError, ConnectionError, TimeoutError)
    for kind in (Problem, HTTPException, RequestValidationError, *database_errors, *translations):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    problem = TRANSLATE.of(request.app)(error)
    if problem.type is INTERNAL_ERROR:
        raise error  # RequestContext logs and answers it
    return problem.response(request_id_of(request))


async def _answer_wrong_method(request: Request, _error: Exception) -> Response:
    return _wrong_method(request).response(request_id_of(request))


def _translate(translations: Translations, error: Exception) -> Problem:
    own = translations.get(type(error))
    problem = own(error) if own else _translate_framework(error) or _translate_database(error)
    return problem or Problem(INTERNAL_ERROR, "The service failed to handle this request.")


def _translate_framework(error: Exception) -> Problem | None:
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid_request(error)
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, Problem):
            return error.__cause__  # raised while the framework read the body
        if error.status_code == NOT_FOUND.status:
            return _no_such_address()
        if error.status_code == PAYLOAD_TOO_LARGE.status:
            return Problem(PAYLOAD_TOO_LARGE, str(error.detail))
        detail = describe_unreadable_body(error.__cause__) or "The body cannot be read."
        return Problem(INVALID_REQUEST, detail, errors=[{"pointer": "", "detail": detail}])
    return None


def _wrong_method(request: Request) -> Problem:
    # The framework's own `Allow` lists only the first route's methods. RFC 9110 wants those of the whole address.
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    methods = {
        method
        for route in iter_route_contexts(request.app.routes)
        if route.methods and route.path_regex.match(path)
        for method in route.methods
    }
    if "GET" in methods or not methods:  # an address without a route is a file
        methods |= {"GET", "HEAD"}
    return _method_not_allowed(methods)


def _method_not_allowed(methods: set[str]) -> Problem:
    allowed = ", ".join(sorted(methods))
    return Problem(METHOD_NOT_ALLOWED, f"This address supports only {allowed}.", headers={"Allow": allowed})


def _no_such_address() -> Problem:
    return Problem(NOT_FOUND, "This address does not exist. Check the path.")


def _translate_database(error: Exception) -> Problem | None:
    if isinstance(error, PoolTimeout):
        return Problem(
            OVERLOADED, "All database connections are in use. Try again shortly.", headers=_RETRY_SHORTLY
        )
    if is_unavailable(error):
        return _database_unavailable()
    return None


def _database_unavailable() -> Problem:
    return Problem(
        DATABASE_UNAVAILABLE, "The database is unavailable. Try again shortly.", headers=_RETRY_SHORTLY
    )


def _invalid_request(error: RequestValidationError) -> Problem:
    errors = describe_errors(error.errors())
    what = " ".join(f"{entry['pointer'] or 'body'}: {entry['detail']}" for entry in errors[:3])
    more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""  # noqa: PLR2004
    return Problem(INVALID_REQUEST, f"The request is not valid. {what}{more}", errors=errors)


illustrate(_no_such_address())
illustrate(_method_not_allowed({"GET", "HEAD", "POST"}))
illustrate(_database_unavailable())
