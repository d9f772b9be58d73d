"""Why an attempt failed, as facts, and the sentence for each that a delivery shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """The endpoint returned a status other than 2xx."""

    status: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The endpoint did not answer in time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class UrlNotAllowed:
    """The URL names a private address or does not use https."""


@dataclass(frozen=True, slots=True)
class HostIsPrivate:
    """The host name resolves to a private address."""

    host: str


@dataclass(frozen=True, slots=True)
class HostNotFound:
    """The host name does not resolve."""

    host: str


@dataclass(frozen=True, slots=True)
class InvalidCertificate:
    """The endpoint's certificate is not valid. `reason` is OpenSSL's own text."""

    reason: str


@dataclass(frozen=True, slots=True)
class TlsFailed:
    """The endpoint does not speak TLS, or no version that both sides support."""


@dataclass(frozen=True, slots=True)
class ConnectionRefused:
    """No connection could be opened."""


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection ended before the answer."""


Failure = (
    NotAccepted
    | TimedOut
    | UrlNotAllowed
    | HostIsPrivate
    | HostNotFound
    | InvalidCertificate
    | TlsFailed
    | ConnectionRefused
    | ConnectionLost
)


def describe_failure(failure: Failure) -> str:
    """Return the sentence for the webhook's owner."""
    match failure:
        case NotAccepted(status):
            return f"The endpoint returned {status}. Only 2xx counts as received."
        case TimedOut(seconds):
            return f"The endpoint did not answer within {seconds:.0f} seconds. Answer first, then process the message."
        case UrlNotAllowed():
            return "Webhooks are sent only with https and only to public addresses. Change the URL."
        case HostIsPrivate(host):
            return f"{host} resolves to a private address. Webhooks are sent only to public addresses."
        case HostNotFound(host):
            return f"The host {host} was not found. Check the URL and its DNS entry."
        case InvalidCertificate(reason):
            return f"The endpoint's certificate is not valid: {reason}. Install a valid certificate."
        case TlsFailed():
            return "No secure connection was possible. Check that the endpoint supports TLS on this port."
        case ConnectionRefused():
            return "No connection was possible. Check that the endpoint is running."
        case ConnectionLost():
            return "The connection ended before the endpoint answered. Check its log."
