"""What can go wrong with organizations, keys and credentials, as facts."""

from app.organizations.api_keys import Scope


class SlugTaken(Exception):
    """Another organization has this slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"an organization with the slug {slug!r} already exists; choose another slug")
        self.slug = slug


class ApiKeyNotFound(Exception):
    """The organization has no such key."""


class KeyExpiresInPast(Exception):
    """The new key would have expired before its first use."""


class MissingCredential(Exception):
    """The request has no bearer credential."""


class InvalidCredential(Exception):
    """The credential is not an API key, or its key is unknown, expired or revoked."""


class MissingScope(Exception):
    """The API key `key_name` has none of `scopes`. The first is the one to ask for."""

    def __init__(self, key_name: str, scopes: tuple[Scope, ...]) -> None:
        super().__init__(key_name, scopes)
        self.key_name = key_name
        self.scopes = scopes
