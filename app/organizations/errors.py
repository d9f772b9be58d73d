"""What can stand in the way of a change of an organization or a key, as facts."""


class SlugTaken(Exception):
    """Another organization has this slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"an organization with the slug {slug!r} exists already")
        self.slug = slug


class ApiKeyNotFound(Exception):
    """The organization has no such key."""
