"""What can be wrong with an import, as facts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnidentifiedRows:
    """Rows do not say which learner they are about, so no learner can be called missing from the file."""

    first_line: int
    row_count: int


@dataclass(frozen=True, slots=True)
class TooManyDeactivations:
    """The import would deactivate more learners than its limit allows."""

    by_row: int
    missing: int
    allowed: int
    # The limit as it was given, a number or a percentage of `not_deactivated` learners.
    limit: str
    not_deactivated: int

    @property
    def total(self) -> int:
        """How many learners would be deactivated."""
        return self.by_row + self.missing


# Why an import must not change anything.
GuardReason = UnidentifiedRows | TooManyDeactivations
