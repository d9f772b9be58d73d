"""What this machine lacks: said loudly at the end of a run, since it has not tested everything."""

missing: list[str] = []


def say_missing(what: str) -> None:
    """Name something that the tests need and do not have."""
    missing.append(what)
