"""Which addresses a webhook may have, how its secrets look and overlap, and when a delivery is tried again."""

import base64
from datetime import timedelta

import pytest

from app.domain.errors import InvalidValue
from app.webhooks.delivery import (
    Attempt,
    Delivery,
    DeliveryState,
    after,
    reason_to_disable,
    wait_after,
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
FAILED = Attempt(500, "It failed.", 5)
GONE = Attempt(410, "It is gone.", 5)


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
def test_addresses_that_can_be_sent_to(url: str) -> None:
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
def test_addresses_that_cannot(url: str) -> None:
    if url.strip() != url:
        assert clean_url(url) == url.strip()  # outer spaces do not matter
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
def test_addresses_of_private_networks_and_without_tls(url: str) -> None:
    assert not is_public(url)


def test_a_name_is_only_known_by_its_addresses() -> None:
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
def test_which_addresses_are_public(address: str, expected: bool) -> None:
    assert is_public_address(address) is expected


def test_secrets_are_new_each_time_and_hold_256_bits() -> None:
    first, second = new_signing_secret(), new_signing_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


def test_a_replaced_secret_signs_too_until_its_time_is_over() -> None:
    replaced = webhook(previous_secret="whsec_b2xk", previous_secret_until=NOON + timedelta(hours=24))
    assert replaced.secrets_at(NOON) == ["whsec_bmV3", "whsec_b2xk"]
    assert replaced.secrets_at(NOON + timedelta(hours=24)) == ["whsec_bmV3"]
    assert webhook().secrets_at(NOON) == ["whsec_bmV3"]


def test_a_delivery_that_is_received_has_ended() -> None:
    ended = after(delivery(3), RECEIVED, NOON)
    assert (ended.state, ended.next_attempt_at) == (DeliveryState.DELIVERED, None)
    assert (ended.response_status, ended.error, ended.duration_ms) == (204, None, 5)


def test_a_delivery_that_fails_is_tried_again_later_and_later_and_at_last_given_up() -> None:
    waits = []
    for attempts in range(1, 11):
        failed = after(delivery(attempts), FAILED, NOON)
        if failed.next_attempt_at is None:
            assert (attempts, failed.state) == (10, DeliveryState.FAILED)
            break
        assert failed.state is DeliveryState.PENDING
        shortest = wait_after(attempts)
        assert shortest is not None
        wait = failed.next_attempt_at - NOON
        assert shortest <= wait <= shortest * 1.1
        waits.append(shortest)
    assert waits == sorted(waits)
    assert sum(waits, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


def test_what_an_endpoint_that_is_gone_has_not_taken_waits_for_it_to_come_back() -> None:
    waiting = after(delivery(), GONE, NOON)
    assert waiting.state is DeliveryState.PENDING
    assert waiting.next_attempt_at is not None


def test_when_a_webhook_is_disabled() -> None:
    given_up = after(delivery(10), FAILED, NOON)
    waiting = after(delivery(2), FAILED, NOON)
    assert reason_to_disable(None, [(waiting, FAILED)]) is None
    assert reason_to_disable(None, [(given_up, FAILED)]) is DisabledReason.FAILING
    assert reason_to_disable(NOON - timedelta(1), [(given_up, FAILED)]) is DisabledReason.FAILING
    assert reason_to_disable(NOON + timedelta(1), [(given_up, FAILED)]) is None
    assert reason_to_disable(NOON, [(waiting, RECEIVED), (waiting, GONE)]) is DisabledReason.GONE
