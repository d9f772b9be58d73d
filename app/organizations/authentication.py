"""Who is asking, and may they? Bearer credentials, scopes, and the typed route parameters for both."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from app.organizations import repository
from app.organizations.api_keys import ApiKey, Scope, hash_secret, is_well_formed
from app.organizations.organization import Organization
from app.platform.clock import Clock
from app.platform.database import Database
from app.platform.limits import Limits
from app.platform.problems import NOT_AUTHENTICATED, NOT_PERMITTED, Problem, illustrate
from app.platform.rate_limits import RateLimiter
from app.platform.routes import StrictRoute
from app.platform.state import StateKey


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, as events and operations record it."""

    kind: str
    id: str | None
    name: str

    def document(self) -> dict[str, Any]:
        """The actor as a JSON object."""
        return {"kind": self.kind, "id": self.id, "name": self.name}


@dataclass(frozen=True, slots=True)
class Principal:
    """The organization that a credential names, who holds it, and what it may do."""

    organization: Organization
    actor: Actor
    scopes: frozenset[Scope]

    def holds(self, scope: Scope) -> bool:
        """Whether this scope is granted; `admin` holds all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class Authenticator:
    """Finds the principal of a credential, remembering each for two seconds."""

    def __init__(self, database: Database, clock: Clock, rate_limiter: RateLimiter, limits: Limits) -> None:
        """Start with an empty cache of at most `limits.cached_credentials`; the database stays the truth."""
        self._limits = limits
        self._database = database
        self._clock = clock
        self._rate_limiter = rate_limiter
        self._cache: dict[str, tuple[datetime, tuple[ApiKey, Organization] | None]] = {}
        self._used_at: dict[str, datetime] = {}

    async def authenticate(self, request: Request) -> Principal:
        """The principal of this request. Raises `not-authenticated` and `rate-limited`."""
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise _not_authenticated("Send an API key: `Authorization: Bearer <key>`.", error=None)
        now = self._clock.now()
        found = await self._find(credential, now)
        if found is None or not found[0].is_valid(now):
            raise _invalid_key()
        key, organization = found
        structlog.contextvars.bind_contextvars(organization=organization.slug, api_key=key.id)
        self._used_at[key.id] = now
        await self._rate_limiter.count(request, key.id)
        return Principal(organization, Actor("api-key", key.id, key.name), frozenset(key.scopes))

    async def still_admits(self, request: Request) -> bool:
        """Whether the credential of a request that was admitted is valid still: for answers that go on for long."""
        credential = request.headers.get("authorization", "").partition(" ")[2].strip()
        now = self._clock.now()
        found = await self._find(credential, now)
        return found is not None and found[0].is_valid(now)

    async def _find(self, credential: str, now: datetime) -> tuple[ApiKey, Organization] | None:
        if not is_well_formed(credential):
            return None
        secret_hash = hash_secret(credential)
        cached = self._cache.get(secret_hash)
        # Below zero where the machine's clock was set back.
        if cached is not None and timedelta(0) <= now - cached[0] < self._limits.credential_cached_for:
            return cached[1]
        async with self._database.read() as connection:
            found = await repository.find_key_by_hash(connection, secret_hash)
        if len(self._cache) >= self._limits.cached_credentials:
            self._cache.clear()
        self._cache[secret_hash] = (now, found)
        return found

    def forget(self) -> None:
        """Drop what is remembered, after a key or an organization was changed in this process."""
        self._cache.clear()

    async def flush_use(self) -> None:
        """Write down when keys were last used; called now and then, so that no request pays for it."""
        used_at, self._used_at = self._used_at, {}
        if used_at:
            await self._database.write(repository.record_use, used_at)


AUTHENTICATOR: StateKey[Authenticator] = StateKey("authenticator")

_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="An API key: `Authorization: Bearer rollcall_…`."
)


class Requires:
    """A dependency that gives the principal, where it holds one of `scopes` (none = anyone who is known)."""

    def __init__(self, *scopes: Scope) -> None:
        """Any one of `scopes` suffices; the first is the one to ask for."""
        self.scopes = scopes

    async def __call__(self, request: Request, _credential: Annotated[Any, Depends(_bearer)]) -> Principal:
        """The principal of this request. Raises `not-permitted`, which names the scope that is missing."""
        principal: Principal = request.state.principal
        if self.scopes and not any(map(principal.holds, self.scopes)):
            raise self.refuse(principal.actor.name)
        return principal

    def refuse(self, name: str) -> Problem:
        """The refusal of a key of this name, which has none of the scopes."""
        return Problem(
            NOT_PERMITTED,
            f"This needs the scope {' or '.join(self.scopes)}, which the API key {name!r} lacks.",
            members={"required_scope": self.scopes[0].value},
        )

    def sentence(self) -> str:
        """What the documentation of an operation says of it."""
        if not self.scopes:
            return "Any valid credential will do, whatever its scopes."
        return f"Needs the scope {' or '.join(f'`{scope}`' for scope in self.scopes)}."


class AuthenticatedRoute(StrictRoute):
    """A route that looks at nothing of a request before it knows who sends it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Like any route, which takes the principal and so says which scope it needs."""
        super().__init__(*arguments, **options)
        calls = (each.call for each in self.dependant.dependencies)
        (required,) = (call for call in calls if isinstance(call, Requires))
        self.description = f"{self.description}\n\n{required.sentence()}"
        scopes = [scope.value for scope in required.scopes]
        self.openapi_extra = {**(self.openapi_extra or {}), "x-required-scopes": scopes}

    async def admit(self, request: Request) -> None:
        """Authenticate first: an unknown caller learns nothing from how a body is judged."""
        request.state.principal = await AUTHENTICATOR.of(request.app).authenticate(request)


Anyone = Annotated[Principal, Depends(Requires())]
Reader = Annotated[Principal, Depends(Requires(Scope.LEARNERS_READ))]
Writer = Annotated[Principal, Depends(Requires(Scope.LEARNERS_WRITE))]
BulkWriter = Annotated[Principal, Depends(Requires(Scope.LEARNERS_BULK))]
HistoryReader = Annotated[Principal, Depends(Requires(Scope.LEARNERS_READ, Scope.EVENTS_READ))]
OperationReader = Annotated[Principal, Depends(Requires(Scope.LEARNERS_READ, Scope.LEARNERS_BULK))]
AccessChecker = Annotated[Principal, Depends(Requires(Scope.ACCESS_CHECK))]
Administrator = Annotated[Principal, Depends(Requires(Scope.ADMIN))]


def _invalid_key() -> Problem:
    return _not_authenticated("This API key is unknown, expired or revoked.", error="invalid_token")


def _not_authenticated(detail: str, *, error: str | None) -> Problem:
    challenge = 'Bearer realm="rollcall"' + (f', error="{error}"' if error else "")
    return Problem(NOT_AUTHENTICATED, detail, headers={"WWW-Authenticate": challenge})


illustrate(_invalid_key())
illustrate(Requires(Scope.LEARNERS_WRITE).refuse("hr-feed"))
