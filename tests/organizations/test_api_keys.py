"""API keys: the form of a secret, how mistyped ones are noticed, and what is stored."""

import string
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.organizations.api_keys import (
    PREFIX,
    ApiKey,
    Scope,
    hash_secret,
    is_well_formed,
    new_secret,
    shown_prefix,
)

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
KEY = ApiKey("id", 1, "feed", "rollcall_abcdef", (Scope.ADMIN,), NOW, None, None, None)


def test_secret_consists_of_prefix_letters_and_digits() -> None:
    secret = new_secret()
    assert secret.startswith("rollcall_")
    assert len(secret) == len(PREFIX) + 43 + 6
    assert set(secret.removeprefix(PREFIX)) <= set(string.ascii_letters + string.digits)


def test_secrets_have_256_random_bits_and_are_unique() -> None:
    assert 62**43 > 2**256
    secrets = {new_secret() for _ in range(1000)}
    assert len(secrets) == 1000
    # Even the part that is shown is different for nearly all of them.
    assert len({shown_prefix(secret) for secret in secrets}) > 990


def test_shown_prefix_is_the_beginning_of_the_secret() -> None:
    secret = new_secret()
    assert shown_prefix(secret) == secret[: len(PREFIX) + 6]


def test_new_secret_is_well_formed() -> None:
    assert all(is_well_formed(new_secret()) for _ in range(200))


def test_checksum_is_the_crc32_of_the_text_before_it() -> None:
    secret = new_secret()
    alphabet = string.digits + string.ascii_letters
    number = 0
    for digit in secret[-6:]:
        number = number * 62 + alphabet.index(digit)
    assert number == zlib.crc32(secret[:-6].encode())


@given(place=st.integers(0, len(PREFIX) + 48), character=st.sampled_from(string.printable + "éß…"))
def test_secret_with_one_wrong_character_is_not_well_formed(place: int, character: str) -> None:
    secret = new_secret()
    wrong = secret[:place] + character + secret[place + 1 :]
    assert is_well_formed(wrong) is (wrong == secret)


@given(st.text(max_size=80))
def test_other_text_is_not_well_formed(text: str) -> None:
    assert not is_well_formed(text)


@pytest.mark.parametrize("cut", [1, 2, 10, 58])
def test_truncated_secret_is_not_well_formed(cut: int) -> None:
    assert not is_well_formed(new_secret()[:-cut])
    assert not is_well_formed(new_secret()[cut:])


def test_stored_hash_is_sha_256_in_hex() -> None:
    assert hash_secret("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_key_is_valid_until_it_expires() -> None:
    ends = replace(KEY, expires_at=NOW)
    assert ends.is_valid(NOW - timedelta(microseconds=1))
    assert not ends.is_valid(NOW)
    assert KEY.is_valid(NOW + timedelta(days=36500))


def test_revoked_key_is_not_valid_before_its_expiration() -> None:
    assert not replace(KEY, revoked_at=NOW).is_valid(NOW - timedelta(days=1))
    assert not replace(KEY, revoked_at=NOW, expires_at=NOW + timedelta(days=1)).is_valid(NOW)
