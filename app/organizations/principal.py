"""The authenticated caller: organization, actor and scopes."""

from dataclasses import dataclass
from typing import Any

from app.organizations.api_keys import ApiKey, Scope
from app.organizations.organization import Organization


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, as events and operations record it."""

    kind: str
    id: str | None
    name: str

    def document(self) -> dict[str, Any]:
        """Return the actor as a JSON object."""
        return {"kind": self.kind, "id": self.id, "name": self.name}


@dataclass(frozen=True, slots=True)
class Credential:
    """An API key and the organization that it belongs to."""

    key: ApiKey
    organization: Organization


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `credential_id` identifies the API key."""

    organization: Organization
    actor: Actor
    scopes: frozenset[Scope]
    credential_id: str

    def holds(self, scope: Scope) -> bool:
        """Return whether this scope is granted. `admin` includes every scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes
