"""What a request or a CSV row asks to change in one learner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Final


class NoChange(Enum):
    """Means "leave this value unchanged", for values that may be None."""

    NO_CHANGE = "no change"


NO_CHANGE: Final = NoChange.NO_CHANGE


@dataclass(frozen=True, slots=True)
class Wish:
    """The changes that are asked for. What a wish does not name stays as it is.

    `profile` holds cleaned values by the names in `fields.PROFILE`; None clears a field. `expires_on` is the last
    day of access, None = never expires. `is_active` is True to activate, False to deactivate.
    """

    profile: Mapping[str, str | None] = field(default_factory=dict)
    expires_on: date | NoChange | None = NO_CHANGE
    is_active: bool | None = None

    @property
    def username(self) -> str | None:
        """The username, if it is to be set."""
        return self.profile.get("username")

    @property
    def external_id(self) -> str | None:
        """The external id, if it is to be set."""
        return self.profile.get("external_id")
