"""Webhooks: their settings, the addresses that they may have, and their signing secrets."""

import base64
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from app.domain.errors import InvalidValue
from app.learners.wish import NO_CHANGE, NoChange

MAX_URL_LENGTH = 2000
MAX_WEBHOOKS = 20
# How long a replaced secret still signs.
SECRETS_OVERLAP = timedelta(hours=24)
_SECRET_BYTES = 32
# Its addresses embed IPv4 addresses (RFC 6052 section 2.1).
_NAT64 = IPv6Network("64:ff9b::/96")


class DisabledReason(StrEnum):
    """Why the service has disabled a webhook."""

    FAILING = "failing"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint that receives events of one organization. No `event_types` = all events.

    `position` is that of the last event that was staged or skipped.
    """

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

    def list_secrets(self, now: datetime) -> list[str]:
        """Return the secrets that sign at the aware instant `now`: the current one, then a replaced one."""
        until = self.previous_secret_until
        if self.previous_secret is None or until is None or now >= until:
            return [self.secret]
        return [self.secret, self.previous_secret]


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What an administrator chooses for a new webhook. No `event_types` = all events."""

    url: str
    description: str | None
    event_types: tuple[str, ...]
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """New values for a webhook's settings. None and NO_CHANGE leave a value as it is."""

    url: str | None = None
    description: str | NoChange | None = NO_CHANGE
    event_types: tuple[str, ...] | None = None
    is_enabled: bool | None = None


def apply_change(webhook: Webhook, change: WebhookChange) -> Webhook:
    """Return the webhook with its new settings. Enabling it clears `disabled_reason`."""
    return replace(
        webhook,
        url=webhook.url if change.url is None else change.url,
        description=webhook.description if isinstance(change.description, NoChange) else change.description,
        event_types=webhook.event_types if change.event_types is None else change.event_types,
        is_enabled=webhook.is_enabled if change.is_enabled is None else change.is_enabled,
        disabled_reason=None if change.is_enabled else webhook.disabled_reason,
    )


def new_signing_secret() -> str:
    """Make a secret of 256 random bits in the form of Standard Webhooks: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def clean_url(value: str) -> str:
    """Return an http or https URL without outer spaces. Raises InvalidValue.

    A user, a password or a fragment is not allowed, nor are more than MAX_URL_LENGTH characters.
    """
    url = value.strip()
    if len(url) > MAX_URL_LENGTH:
        raise InvalidValue(f"The URL has {len(url):,} characters. Use at most {MAX_URL_LENGTH:,}.")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidValue("Invalid URL. Use a URL such as https://hr.example.org/rollcall.") from None
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidValue("A webhook needs an https URL, such as https://hr.example.org/rollcall.")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidValue(
            "The URL contains a space or a character outside ASCII. Encode it with % (or Punycode in the host)."
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidValue(
            "The URL contains a user or a password. Remove it: the signature proves who sent a message."
        )
    if "#" in url:
        raise InvalidValue("The URL contains a fragment (#…), which is never sent. Remove it.")
    return url


def is_public(url: str) -> bool:
    """Return whether a (cleaned) URL uses https and does not name a private address.

    A host name counts as public here; the sender checks its addresses.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return is_public_address(host)
    except ValueError:
        return True  # a host name


def is_public_address(text: str) -> bool:
    """Return whether an IP address is on the public internet. Raises ValueError if it is not an IP address."""
    address: IPv4Address | IPv6Address = ip_address(text)
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in _NAT64:
            inside = IPv4Address(int(address) & 0xFFFFFFFF)
        address = inside or address
    return address.is_global and not address.is_multicast
