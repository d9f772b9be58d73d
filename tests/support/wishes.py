"""Wishes, written shortly."""

from datetime import date

from app.learners.wish import NO_CHANGE, NoChange, Wish


def wish(
    *, is_active: bool | None = None, expires_on: date | NoChange | None = NO_CHANGE, **profile: str | None
) -> Wish:
    """A wish for these fields; a field that is None here is not asked for."""
    return Wish({name: value for name, value in profile.items() if value is not None}, expires_on, is_active)
