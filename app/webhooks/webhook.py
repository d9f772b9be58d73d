"""What a webhook is, which addresses it may have, and with what its messages are signed."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from app.domain.errors import InvalidValue

MAX_URL_LENGTH = 2000
MAX_WEBHOOKS = 20
# How long both secrets sign after the first was replaced.
SECRETS_OVERLAP = timedelta(hours=24)
_SECRET_BYTES = 32
# Behind whose addresses stand IPv4 addresses (RFC 6052 section 2.1).
_NAT64 = IPv6Network("64:ff9b::/96")


class DisabledReason(StrEnum):
    """Why the service itself has disabled a webhook."""

    FAILING = "failing"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint to which events of one organization are sent; `event_types`: empty = all."""

    id: str
    organization_id: int
    url: str
    description: str | None
    event_types: tuple[str, ...]
    secret: str
    previous_secret: str | None
    previous_secret_until: datetime | None
    is_enabled: bool
    disabled_reason: DisabledReason | None
    position: int
    last_delivered_at: datetime | None
    created_at: datetime
    updated_at: datetime

    def secrets_at(self, now: datetime) -> list[str]:
        """What signs at the aware instant `now`: the secret, and for a while the one that it has replaced."""
        until = self.previous_secret_until
        if self.previous_secret is None or until is None or now >= until:
            return [self.secret]
        return [self.secret, self.previous_secret]


def new_signing_secret() -> str:
    """A secret of 256 random bits in the form of Standard Webhooks: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def clean_url(value: str) -> str:
    """An http or https address without user, password and fragment, up to 2,000 characters. Raises InvalidValue."""
    url = value.strip()
    if len(url) > MAX_URL_LENGTH:
        raise InvalidValue(f"A URL is {len(url)} characters long; at most {MAX_URL_LENGTH} are allowed.")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidValue("This is no URL, such as https://hr.example.org/rollcall.") from None
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidValue("A webhook needs a URL with https, such as https://hr.example.org/rollcall.")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidValue("A URL consists of visible ASCII characters; encode others with % or Punycode.")
    if parts.username is not None or parts.password is not None:
        raise InvalidValue("A URL must not hold a user or password; messages are signed instead.")
    if "#" in url:
        raise InvalidValue("A fragment (#…) is never sent; leave it out.")
    return url


def is_public(url: str) -> bool:
    """Whether the (cleaned) address is one with https whose host, as it is written, is not a private one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return is_public_address(host)
    except ValueError:
        return True  # a name, of which only its addresses tell


def is_public_address(text: str) -> bool:
    """Whether an IP address belongs to the public internet. Raises ValueError where it is none."""
    address: IPv4Address | IPv6Address = ip_address(text)
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in _NAT64:
            inside = IPv4Address(int(address) & 0xFFFFFFFF)
        address = inside or address
    return address.is_global and not address.is_multicast
