"""What the rules can refuse, as facts.

They know nothing of HTTP: the API, CSV and the command line each put them into their own words.
"""

from dataclasses import dataclass
from datetime import date

from app.domain.status import Status


@dataclass(frozen=True, slots=True)
class Expired:
    """Why an account cannot be activated: its last day of access, `expires_on`, has passed.

    `restores_to` is the status that a new expiration date brings back.
    """

    expires_on: date
    restores_to: Status


class LearnerExpired(Exception):
    """The learner cannot be activated: the account has expired."""

    def __init__(self, reason: Expired) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidValue(ValueError):
    """A value that a field does not accept. The message is a sentence that a person can act on."""
