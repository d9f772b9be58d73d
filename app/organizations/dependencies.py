"""How routes authenticate: the principal, the scopes, and the route class that checks the credential first."""

from typing import Annotated, Any

import structlog
from fastapi import Depends, Path, Request
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPBearer

from app.organizations.api_keys import Scope
from app.organizations.authentication import Authenticator
from app.organizations.errors import ApiKeyNotFound, MissingScope
from app.organizations.principal import Principal
from app.platform.ids import parse_id
from app.platform.rate_limits import RateLimiter
from app.platform.routes import StrictRoute
from app.platform.state import StateKey

AUTHENTICATOR: StateKey[Authenticator] = StateKey("authenticator")
RATE_LIMITER: StateKey[RateLimiter] = StateKey("rate_limiter")

CurrentAuthenticator = Annotated[Authenticator, Depends(AUTHENTICATOR)]
KeyIdPath = Annotated[
    str, Path(description="The key's id.", examples=["019a8c5e-0000-7000-8000-000000000001"])
]

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="rollcall_…",
    description="An API key: `Authorization: Bearer rollcall_…`.",
)


def key_id_of(sent: str) -> str:
    """Return the id in canonical form. Raises ApiKeyNotFound if it is not a UUID."""
    parsed = parse_id(sent)
    if parsed is None:
        raise ApiKeyNotFound
    return parsed


def authorization_of(request: Request) -> str:
    """Return the request's `Authorization` header, empty if there is none."""
    return request.headers.get("authorization", "")


class Requires:
    """A dependency that returns the principal if it has one of `scopes`. Without scopes, any principal will do."""

    def __init__(self, *scopes: Scope) -> None:
        """Accept a principal that has any one of `scopes`. The first is the one to ask for."""
        self.scopes = scopes

    async def __call__(self, request: Request, _credential: Annotated[Any, Depends(_bearer)]) -> Principal:
        """Return the principal of this request. Raises MissingScope."""
        principal: Principal = request.state.principal
        if self.scopes and not any(map(principal.holds, self.scopes)):
            raise MissingScope(principal.actor.name, self.scopes)
        return principal

    def describe(self) -> str:
        """Return the sentence about scopes for the description of an operation."""
        if not self.scopes:
            return "Works with any valid API key, whatever its scopes."
        return f"Needs the scope {' or '.join(f'`{scope}`' for scope in self.scopes)}."


def _list_required(dependant: Dependant) -> set[Requires]:
    """Return what a route requires, itself or through what it depends on."""
    own = {dependant.call} if isinstance(dependant.call, Requires) else set()
    return own.union(*map(_list_required, dependant.dependencies))


class AuthenticatedRoute(StrictRoute):
    """A route that authenticates a request before it reads anything else of it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Create a route that takes the principal, and document the scope that it needs."""
        super().__init__(*arguments, **options)
        (required,) = _list_required(self.dependant)
        self.description = f"{self.description}\n\n{required.describe()}"
        scopes = [scope.value for scope in required.scopes]
        self.openapi_extra = {**(self.openapi_extra or {}), "x-required-scopes": scopes}

    async def admit(self, request: Request) -> None:
        """Authenticate and count the request. Without a valid key, a caller cannot find out how a body is checked."""
        principal = await AUTHENTICATOR.of(request.app).authenticate(authorization_of(request))
        structlog.contextvars.bind_contextvars(
            organization=principal.organization.slug, api_key=principal.credential_id
        )
        await RATE_LIMITER.of(request.app).count(request, principal.credential_id)
        request.state.principal = principal


Anyone = Annotated[Principal, Depends(Requires())]
Reader = Annotated[Principal, Depends(Requires(Scope.LEARNERS_READ))]
Writer = Annotated[Principal, Depends(Requires(Scope.LEARNERS_WRITE))]
BulkWriter = Annotated[Principal, Depends(Requires(Scope.LEARNERS_BULK))]
HistoryReader = Annotated[Principal, Depends(Requires(Scope.LEARNERS_READ, Scope.EVENTS_READ))]
OperationReader = Annotated[Principal, Depends(Requires(Scope.LEARNERS_READ, Scope.LEARNERS_BULK))]
AccessChecker = Annotated[Principal, Depends(Requires(Scope.ACCESS_CHECK))]
Administrator = Annotated[Principal, Depends(Requires(Scope.ADMIN))]
