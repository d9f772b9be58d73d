"""Finds the principal behind a bearer credential."""

from datetime import datetime, timedelta

from app.limits import Limits
from app.organizations import repository
from app.organizations.api_keys import hash_secret, is_well_formed
from app.organizations.errors import InvalidCredential, MissingCredential
from app.organizations.principal import Actor, Credential, Principal
from app.platform.clock import Clock
from app.platform.database import Database


class Authenticator:
    """Finds the principal of a credential. Remembers each for `limits.credential_cached_for`."""

    def __init__(self, database: Database, clock: Clock, limits: Limits) -> None:
        """Start with an empty cache, which holds at most `limits.cached_credentials`."""
        self._limits = limits
        self._database = database
        self._clock = clock
        self._cache: dict[str, tuple[datetime, Credential | None]] = {}
        self._used_at: dict[str, datetime] = {}

    async def authenticate(self, authorization: str) -> Principal:
        """Return the principal that this `Authorization` header names, and note that its key was used.

        Raises MissingCredential and InvalidCredential.
        """
        secret = _read_secret(authorization)
        if secret is None:
            raise MissingCredential
        now = self._clock.now()
        found = await self._find_credential(secret, now)
        if found is None or not found.key.is_valid(now):
            raise InvalidCredential
        key = found.key
        self._used_at[key.id] = now
        return Principal(
            found.organization, Actor("api-key", key.id, key.name), frozenset(key.scopes), key.id
        )

    async def still_admits(self, authorization: str) -> bool:
        """Return whether an `Authorization` header that was accepted is still valid. For long-running answers."""
        secret = _read_secret(authorization)
        if secret is None:
            return False
        now = self._clock.now()
        found = await self._find_credential(secret, now)
        return found is not None and found.key.is_valid(now)

    async def _find_credential(self, secret: str, now: datetime) -> Credential | None:
        if not is_well_formed(secret):
            return None
        secret_hash = hash_secret(secret)
        cached = self._cache.get(secret_hash)
        # The age is negative if the machine's clock was set back. Then the cache is not used.
        if cached is not None and timedelta(0) <= now - cached[0] < self._limits.credential_cached_for:
            return cached[1]
        async with self._database.read() as connection:
            found = await repository.find_credential(connection, secret_hash)
        if len(self._cache) >= self._limits.cached_credentials:
            self._cache.clear()
        self._cache[secret_hash] = (now, found)
        return found

    def forget(self) -> None:
        """Empty the cache. Call it after this process has changed a key or an organization."""
        self._cache.clear()

    async def flush_use(self) -> None:
        """Store when keys were last used. Called at intervals, so that no request has to wait for it."""
        used_at, self._used_at = self._used_at, {}
        if used_at:
            await self._database.write(repository.record_use, used_at)


def _read_secret(authorization: str) -> str | None:
    scheme, _, rest = authorization.partition(" ")
    return rest.strip() or None if scheme.lower() == "bearer" else None
