"""What can go wrong with organizations, keys and credentials, as HTTP problems."""

from app.organizations.api_keys import Scope
from app.organizations.errors import (
    ApiKeyNotFound,
    InvalidCredential,
    KeyExpiresInPast,
    MissingCredential,
    MissingScope,
)
from app.platform.problems import (
    INVALID_REQUEST,
    NOT_AUTHENTICATED,
    NOT_FOUND,
    NOT_PERMITTED,
    Problem,
    Translations,
    illustrate,
)

NO_KEY = Problem(NOT_FOUND, "Your organization has no API key with this id.")


def _key_not_found(_error: ApiKeyNotFound) -> Problem:
    return Problem(NOT_FOUND, NO_KEY.detail)


def _key_expires_in_past(_error: KeyExpiresInPast) -> Problem:
    detail = "This time is in the past. Use a later time, or null for a key that never expires."
    return Problem(INVALID_REQUEST, detail, errors=[{"pointer": "/expires_at", "detail": detail}])


def _missing_credential(_error: MissingCredential) -> Problem:
    return _not_authenticated("Send an API key: `Authorization: Bearer <key>`.", error=None)


def _invalid_credential(_error: InvalidCredential) -> Problem:
    return _not_authenticated(
        "This API key is unknown, expired or revoked. Use a valid key.", error="invalid_token"
    )


def _not_authenticated(detail: str, *, error: str | None) -> Problem:
    challenge = 'Bearer realm="rollcall"' + (f', error="{error}"' if error else "")
    return Problem(NOT_AUTHENTICATED, detail, headers={"WWW-Authenticate": challenge})


def _missing_scope(error: MissingScope) -> Problem:
    return Problem(
        NOT_PERMITTED,
        f"The API key {error.key_name!r} does not have the scope {' or '.join(error.scopes)}. "
        "Use a key that has it.",
        members={"required_scope": error.scopes[0].value},
    )


TRANSLATIONS: Translations = {
    ApiKeyNotFound: _key_not_found,
    KeyExpiresInPast: _key_expires_in_past,
    MissingCredential: _missing_credential,
    InvalidCredential: _invalid_credential,
    MissingScope: _missing_scope,
}
illustrate(_invalid_credential(InvalidCredential()))
illustrate(_missing_scope(MissingScope("hr-feed", (Scope.LEARNERS_WRITE,))))
