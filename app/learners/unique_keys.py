"""The two keys of which an organization has each only once, and how changes that pass them on are stored."""

from collections.abc import Iterable, Iterator

from app.learners.learner import Change, Learner, username_key

# What kind of key it is, and its value (a username's folded).
UniqueKey = tuple[str, str]

USERNAME = "username"
EXTERNAL_ID = "external-id"


def unique_keys(learner: Learner | None) -> set[UniqueKey]:
    """The keys that the learner (None = not there yet) has."""
    if learner is None:
        return set()
    keys = {(USERNAME, username_key(learner.username))}
    if learner.external_id is not None:
        keys.add((EXTERNAL_ID, learner.external_id))
    return keys


def split_where_keys_move(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """The changes in batches, none of which takes a username or external id that the same batch gives up.

    Stored in one statement, such a pair could meet in the wrong order and break a unique index.
    """
    batch: list[Change] = []
    given_up: set[UniqueKey] = set()
    for change in changes:
        if not _keeps_keys(change) and (given_up or change.before is not None):
            before, after = unique_keys(change.before), unique_keys(change.after)
            if not given_up.isdisjoint(after - before):
                yield batch
                batch, given_up = [], set()
            given_up |= before - after
        batch.append(change)
    if batch:
        yield batch


def _keeps_keys(change: Change) -> bool:
    before, after, _ = change
    return (
        before is not None and before.username == after.username and before.external_id == after.external_id
    )
