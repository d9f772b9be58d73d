"""Why a request about one learner is refused, as facts."""


class LearnerNotFound(Exception):
    """The organization has no such learner."""


class UsernameTaken(Exception):
    """Another learner of the organization has this username."""

    def __init__(self, username: str) -> None:
        super().__init__(username)
        self.username = username


class ExternalIdTaken(Exception):
    """Another learner of the organization has this external id."""

    def __init__(self, external_id: str) -> None:
        super().__init__(external_id)
        self.external_id = external_id


class InvalidIfMatch(Exception):
    """The header If-Match holds no entity tag."""


class VersionMismatch(Exception):
    """The learner has changed since the caller read it."""

    def __init__(self, current: int) -> None:
        super().__init__(current)
        self.current = current
