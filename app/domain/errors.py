"""What the rules can refuse, as facts. No HTTP here: the doors put these into their own words."""

from datetime import date

from app.domain.status import Status


class LearnerExpired(Exception):
    """The account has expired: it comes back only by a new expiration date."""

    def __init__(self, expires_on: date, restores_to: Status) -> None:
        super().__init__(f"expired after {expires_on}, would return to {restores_to}")
        self.expires_on = expires_on
        self.restores_to = restores_to


class InvalidValue(ValueError):
    """A value that a field does not take; the message is a sentence that a person can act on."""
