"""API keys: their scopes, and how secrets are made, recognized and stored."""

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PREFIX = "rollcall_"
_ALPHABET = string.digits + string.ascii_letters
_RANDOM_LENGTH = 43  # 62**43 > 2**256
_CHECKSUM_LENGTH = 6
_SHOWN = len(PREFIX) + 6


class Scope(StrEnum):
    """What a credential may do. `admin` includes all the others."""

    LEARNERS_READ = "learners:read"
    LEARNERS_WRITE = "learners:write"
    LEARNERS_BULK = "learners:bulk"
    ACCESS_CHECK = "access:check"
    EVENTS_READ = "events:read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as it is stored, without its secret."""

    id: str
    organization_id: int
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired at the aware instant `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def new_secret() -> str:
    """Make a secret of 256 random bits: `rollcall_`, 43 characters, and a checksum of 6 characters.

    It consists of letters, digits and `_`, so a double click selects all of it. Prefix and checksum let
    secret scanners recognize a key, and let the service reject other texts without a query.
    """
    body = PREFIX + _base62(secrets.randbits(256), _RANDOM_LENGTH)
    return body + _checksum(body)


def is_well_formed(secret: str) -> bool:
    """Return whether the text has the form and the checksum of a key."""
    body, checksum = secret[:-_CHECKSUM_LENGTH], secret[-_CHECKSUM_LENGTH:]
    return (
        secret.isascii()
        and body.startswith(PREFIX)
        and len(body) == len(PREFIX) + _RANDOM_LENGTH
        and checksum == _checksum(body)
    )


def hash_secret(secret: str) -> str:
    """Return the SHA-256 in hex. No salt or slow hash is needed: 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def shown_prefix(secret: str) -> str:
    """Return the beginning of the secret, which lists show to tell keys apart."""
    return secret[:_SHOWN]


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
