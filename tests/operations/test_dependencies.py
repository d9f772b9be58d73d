"""How long a request waits: what `Prefer` asks for."""

import pytest

from app.operations.dependencies import parse_wait


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 10),
        ("", 10),
        ("return=minimal", 10),
        ("respond-async", 0),
        ("Respond-Async", 0),
        ("respond-async, wait=5", 5),
        ("wait=5, respond-async", 5),
        ("return=minimal; foo=bar, respond-async", 0),
        ("wait=0", 0),
        ("wait=30", 30),
        ("wait=31", 30),
        ("wait=999999999", 30),
        ('wait="7"', 7),
        ("WAIT = 3", 3),
        ("wait=-1", 10),
        ("wait=soon", 10),
        ("await=3", 10),
        ("not-respond-async", 10),
        ("respond-asynchronously", 10),
    ],
)
def test_prefer_sets_the_wait_and_other_preferences_are_ignored(prefer: str | None, seconds: int) -> None:
    assert parse_wait(prefer) == seconds
