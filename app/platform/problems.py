"""Errors on the wire: RFC 9457 problem details, the catalogue of their types, and the page of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
    """One kind of problem: its code, HTTP status, title, what its page says, and its members of its own."""

    code: str
    status: int
    title: str
    explanation: str
    members: type[BaseModel] | None = None

    @property
    def uri(self) -> str:
        """The problem's `type` (RFC 9457 section 3.1.1), a page that GET serves."""
        return f"/problems/{self.code}"


CATALOGUE: dict[str, ProblemType] = {}


def define_problem(
    code: str, status: int, title: str, explanation: str, members: type[BaseModel] | None = None
) -> ProblemType:
    """Add a kind of problem to the catalogue, from which pages and openapi.yaml are made.

    `members` describes what it has besides the members of every problem (RFC 9457 section 3.2).
    """
    if code in CATALOGUE:
        raise ValueError(f"the problem {code} is defined twice")
    CATALOGUE[code] = ProblemType(code, status, title, explanation, members)
    return CATALOGUE[code]


@dataclass(eq=False)
class Problem(Exception):
    """A problem to answer with: `detail` is a sentence a person can act on."""

    type: ProblemType
    detail: str
    errors: Sequence[Mapping[str, str]] = ()
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """The members of the problem document; `instance` is the id of the request."""
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
        """The answer on the wire."""
        return Response(
            orjson.dumps(self.document(instance), default=str),
            status_code=self.type.status,
            media_type=MEDIA_TYPE,
            headers=dict(self.headers),
        )


EXAMPLES: dict[str, Problem] = {}


def illustrate(problem: Problem) -> None:
    """Show this problem in openapi.yaml as the example of its kind; make it as the real ones are made."""
    EXAMPLES[problem.type.code] = problem


class FieldError(BaseModel):
    """One field that is wrong."""

    pointer: Annotated[
        str,
        Field(
            description="JSON Pointer (RFC 6901) into the body, empty for the whole of it; `?name` of a query "
            "parameter; `header:Name` of a header field."
        ),
    ]
    detail: str


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: Annotated[
        str, Field(description="A page that explains the problem.", examples=["/problems/not-found"])
    ]
    code: str
    title: str
    status: int
    detail: Annotated[str, Field(description="A sentence that a person can act on.")]
    instance: Annotated[str | None, Field(description="The id of the request.")] = None
    errors: list[FieldError] | None = None


class NotPermittedMembers(BaseModel):
    """What `not-permitted` tells besides."""

    required_scope: Annotated[str, Field(description="The scope to ask for.")]


NOT_AUTHENTICATED = define_problem(
    "not-authenticated",
    401,
    "Not authenticated",
    "The request carries no credential, or one that is unknown, expired or revoked. Send "
    "`Authorization: Bearer <API key>`.",
)
NOT_PERMITTED = define_problem(
    "not-permitted",
    403,
    "Not permitted",
    "The credential is good but lacks the scope that `required_scope` names. An administrator can make a key "
    "that has it.",
    NotPermittedMembers,
)
NOT_FOUND = define_problem(
    "not-found",
    404,
    "Not found",
    "There is nothing at this address, or nothing that belongs to your organization.",
)
METHOD_NOT_ALLOWED = define_problem(
    "method-not-allowed",
    405,
    "Method not allowed",
    "The address exists; the `Allow` header names its methods.",
)
NOT_ACCEPTABLE = define_problem(
    "not-acceptable",
    406,
    "Not acceptable",
    "The `Accept` header asks for a media type that this address does not have.",
)
PAYLOAD_TOO_LARGE = define_problem(
    "payload-too-large",
    413,
    "Payload too large",
    "The body is larger than this address takes; the detail says how much that is.",
)
UNSUPPORTED_MEDIA_TYPE = define_problem(
    "unsupported-media-type",
    415,
    "Unsupported media type",
    "The body's `Content-Type` is not one that this address reads.",
)
INVALID_REQUEST = define_problem(
    "invalid-request",
    422,
    "Invalid request",
    "Something in the request is missing, unknown or malformed; `errors` points to each. Unknown members and "
    "unknown query parameters are refused too, so that a mistyped filter never selects everyone.",
)
RATE_LIMITED = define_problem(
    "rate-limited",
    429,
    "Too many requests",
    "This credential has used up its requests for now; `Retry-After` says when to go on.",
)
INTERNAL_ERROR = define_problem(
    "internal-error",
    500,
    "Internal error",
    "A fault of the service. Nothing was changed; the log has it under the request id.",
)
OVERLOADED = define_problem(
    "overloaded",
    503,
    "Overloaded",
    "The service has more to do than it can hold; try again after `Retry-After` seconds.",
)
DATABASE_UNAVAILABLE = define_problem(
    "database-unavailable",
    503,
    "Database unavailable",
    "The database did not answer; try again after `Retry-After` seconds.",
)

_RETRY_SHORTLY = {"Retry-After": "2"}

# How a slice puts its own exceptions into words: by the exception's exact class.
Translations = Mapping[type[Exception], Callable[[Any], Problem]]

# Turns any exception into the problem that answers it.
TRANSLATE: StateKey[Callable[[Exception], Problem]] = StateKey("translate_problem")


def request_id_of(request: Request) -> str | None:
    """The id of this request, as it stands in log lines and in the answer's `X-Request-ID`."""
    return getattr(request.state, "request_id", None)


def install_problem_handlers(app: FastAPI, translations: Translations) -> None:
    """Answer every exception with a problem; `translations` put the slices' own exceptions into words."""

    def translate(error: Exception) -> Problem:
        own = translations.get(type(error))
        problem = own(error) if own else _translate_framework(error) or _translate_database(error)
        return problem or Problem(INTERNAL_ERROR, "The service failed to handle this request.")

    async def answer(request: Request, error: Exception) -> Response:
        problem = translate(error)
        if problem.type is INTERNAL_ERROR:
            raise error  # RequestContext logs and answers it
        return problem.response(request_id_of(request))

    async def answer_wrong_method(request: Request, _error: Exception) -> Response:
        return _wrong_method(request).response(request_id_of(request))

    TRANSLATE.put(app, translate)
    app.add_exception_handler(METHOD_NOT_ALLOWED.status, answer_wrong_method)
    database_errors = (PoolTimeout, DBAPIError, ConnectionError, TimeoutError)
    for kind in (Problem, HTTPException, RequestValidationError, *database_errors, *translations):
        app.add_exception_handler(kind, answer)


def _translate_framework(error: Exception) -> Problem | None:
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid_request(error)
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, Problem):
            return error.__cause__  # raised while the framework was reading the body
        if error.status_code == NOT_FOUND.status:
            return _nothing_there()
        if error.status_code == PAYLOAD_TOO_LARGE.status:
            return Problem(PAYLOAD_TOO_LARGE, str(error.detail))
        detail = describe_unreadable_body(error.__cause__) or "The body cannot be read."
        return Problem(INVALID_REQUEST, detail, errors=[{"pointer": "", "detail": detail}])
    return None


def _wrong_method(request: Request) -> Problem:
    # The framework's own `Allow` has the methods of the first route only, and RFC 9110 wants all of the address.
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    methods = {
        method
        for route in iter_route_contexts(request.app.routes)
        if route.methods and route.path_regex.match(path)
        for method in route.methods
    }
    if "GET" in methods or not methods:  # without a route it is a file
        methods |= {"GET", "HEAD"}
    return _not_among(methods)


def _not_among(methods: set[str]) -> Problem:
    allowed = ", ".join(sorted(methods))
    return Problem(METHOD_NOT_ALLOWED, f"This address answers to {allowed}.", headers={"Allow": allowed})


def _nothing_there() -> Problem:
    return Problem(NOT_FOUND, "There is nothing at this address.")


def _translate_database(error: Exception) -> Problem | None:
    if isinstance(error, PoolTimeout):
        return Problem(
            OVERLOADED, "All database connections are busy; try again shortly.", headers=_RETRY_SHORTLY
        )
    if is_unavailable(error):
        return _database_away()
    return None


def _database_away() -> Problem:
    return Problem(
        DATABASE_UNAVAILABLE, "The database cannot be reached; try again shortly.", headers=_RETRY_SHORTLY
    )


def _invalid_request(error: RequestValidationError) -> Problem:
    errors = describe_errors(error.errors())
    what = "; ".join(f"{entry['pointer'] or 'body'}: {entry['detail']}" for entry in errors[:3])
    more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""  # noqa: PLR2004
    return Problem(INVALID_REQUEST, f"The request is not valid. {what}{more}", errors=errors)


illustrate(_nothing_there())
illustrate(_not_among({"GET", "HEAD", "POST"}))
illustrate(_database_away())
