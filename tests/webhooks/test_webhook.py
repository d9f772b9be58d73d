"""Webhooks and deliveries as values: valid URLs, secrets, retries, and when a webhook is disabled."""

import base64
from datetime import timedelta

import pytest

from app.domain.errors import InvalidValue
from app.webhooks.delivery import (
    Attempt,
    Delivery,
    DeliveryState,
    apply_attempt,
    find_disabled_reason,
    find_wait,
)
from app.webhooks.failures import (
    ConnectionLost,
    ConnectionRefused,
    Failure,
    HostIsPrivate,
    HostNotFound,
    InvalidCertificate,
    NotAccepted,
    TimedOut,
    TlsFailed,
    UrlNotAllowed,
    describe_failure,
)
from app.webhooks.webhook import (
    DisabledReason,
    Webhook,
    clean_url,
    is_public,
    is_public_address,
    new_signing_secret,
)
from tests.support.service import NOON

RECEIVED = Attempt(204, None, 5)
FAILED = Attempt(500, NotAccepted(500), 5)
GONE = Attempt(410, NotAccepted(410), 5)


def delivery(attempts: int = 1, **members: object) -> Delivery:
    values = {
        "id": "d",
        "webhook_id": "w",
        "event_position": 1,
        "event_id": "e",
        "event_type": "learner.created",
        "state": DeliveryState.PENDING,
        "attempts": attempts,
        "created_at": NOON,
        "last_attempt_at": NOON,
        "next_attempt_at": NOON,
        "response_status": None,
        "error": None,
        "duration_ms": None,
    }
    return Delivery(**{**values, **members})  # type: ignore[arg-type]


def webhook(**members: object) -> Webhook:
    values = {
        "id": "w",
        "organization_id": 1,
        "url": "https://hr.example.org/",
        "description": None,
        "event_types": (),
        "secret": "whsec_bmV3",
        "previous_secret": None,
        "previous_secret_until": None,
        "is_enabled": True,
        "disabled_reason": None,
        "position": 0,
        "last_delivered_at": None,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Webhook(**{**values, **members})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "https://hr.example.org/rollcall",
        "https://hr.example.org:8443/a/b?c=d&e=%20",
        "http://10.0.0.1/hook",
        "https://[2001:db8::1]/hook",
        "https://xn--bcher-kva.example/",
        "  https://hr.example.org/rollcall ",
    ],
)
def test_valid_url_is_accepted(url: str) -> None:
    assert clean_url(url) == url.strip()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hr.example.org",
        "/rollcall",
        "ftp://hr.example.org/",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user@hr.example.org/",
        "https://user:word@hr.example.org/",
        "https://hr.example.org/#part",
        "https://hr.example.org/a b",
        "https://hr.example.org/\n",
        "https://bücher.example/",
        "https://hr.example.org:99999/",
        "https://[::1/",
        "https://hr.example.org/" + "x" * 2000,
    ],
)
def test_invalid_url_is_refused(url: str) -> None:
    if url.strip() != url:
        assert clean_url(url) == url.strip()  # outer spaces are removed
        return
    with pytest.raises(InvalidValue):
        clean_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://hr.example.org/",
        "https://localhost/",
        "https://a.localhost/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://192.168.0.1:8443/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
    ],
)
def test_private_address_or_http_is_not_public(url: str) -> None:
    assert not is_public(url)


def test_host_name_counts_as_public() -> None:
    assert is_public("https://hr.example.org/")
    assert is_public("https://9.9.9.9/")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("9.9.9.9", True),
        ("2620:fe::fe", True),
        ("0.0.0.0", False),  # noqa: S104
        ("127.0.0.1", False),
        ("172.16.0.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:9.9.9.9", True),
        ("2002:0a00:0001::1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::9.9.9.9", True),
    ],
)
def test_only_internet_addresses_are_public(address: str, expected: bool) -> None:
    assert is_public_address(address) is expected


def test_secrets_are_unique_and_have_256_bits() -> None:
    first, second = new_signing_secret(), new_signing_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


def test_replaced_secret_signs_until_its_time_is_over() -> None:
    replaced = webhook(previous_secret="whsec_b2xk", previous_secret_until=NOON + timedelta(hours=24))
    assert replaced.list_secrets(NOON) == ["whsec_bmV3", "whsec_b2xk"]
    assert replaced.list_secrets(NOON + timedelta(hours=24)) == ["whsec_bmV3"]
    assert webhook().list_secrets(NOON) == ["whsec_bmV3"]


def test_received_delivery_has_ended() -> None:
    ended = apply_attempt(delivery(3), RECEIVED, NOON)
    assert (ended.state, ended.next_attempt_at) == (DeliveryState.DELIVERED, None)
    assert (ended.response_status, ended.error, ended.duration_ms) == (204, None, 5)


def test_failed_delivery_is_retried_with_growing_waits_and_then_fails() -> None:
    waits = []
    for attempts in range(1, 11):
        failed = apply_attempt(delivery(attempts), FAILED, NOON)
        if failed.next_attempt_at is None:
            assert (attempts, failed.state) == (10, DeliveryState.FAILED)
            break
        assert failed.state is DeliveryState.PENDING
        shortest = find_wait(attempts)
        assert shortest is not None
        wait = failed.next_attempt_at - NOON
        assert shortest <= wait <= shortest * 1.1
        waits.append(shortest)
    assert waits == sorted(waits)
    assert sum(waits, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


def test_delivery_to_a_gone_endpoint_stays_pending() -> None:
    waiting = apply_attempt(delivery(), GONE, NOON)
    assert waiting.state is DeliveryState.PENDING
    assert waiting.next_attempt_at is not None


def test_webhook_is_disabled_if_gone_or_failing() -> None:
    failed = apply_attempt(delivery(10), FAILED, NOON)
    waiting = apply_attempt(delivery(2), FAILED, NOON)
    assert find_disabled_reason(None, [(waiting, FAILED)]) is None
    assert find_disabled_reason(None, [(failed, FAILED)]) is DisabledReason.FAILING
    assert find_disabled_reason(NOON - timedelta(1), [(failed, FAILED)]) is DisabledReason.FAILING
    assert find_disabled_reason(NOON + timedelta(1), [(failed, FAILED)]) is None
    assert find_disabled_reason(NOON, [(waiting, RECEIVED), (waiting, GONE)]) is DisabledReason.GONE


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (NotAccepted(500), "The endpoint returned 500. Only 2xx counts as received."),
        (
            TimedOut(15.0),
            "The endpoint did not answer within 15 seconds. Answer first, then process the message.",
        ),
        (
            UrlNotAllowed(),
            "Webhooks are sent only with https and only to public addresses. Change the URL.",
        ),
        (
            HostIsPrivate("a.example"),
            "a.example resolves to a private address. Webhooks are sent only to public addresses.",
        ),
        (HostNotFound("a.example"), "The host a.example was not found. Check the URL and its DNS entry."),
        (
            InvalidCertificate("expired"),
            "The endpoint's certificate is not valid: expired. Install a valid certificate.",
        ),
        (
            TlsFailed(),
            "No secure connection was possible. Check that the endpoint supports TLS on this port.",
        ),
        (ConnectionRefused(), "No connection was possible. Check that the endpoint is running."),
        (ConnectionLost(), "The connection ended before the endpoint answered. Check its log."),
    ],
)
def test_each_failure_has_its_sentence(failure: Failure, sentence: str) -> None:
    assert describe_failure(failure) == sentence
