"""The keys that are unique in an organization, and how changes that move a key between learners are stored."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from app.learners.learner import Change, Learner


class UniqueKey(NamedTuple):
    """A key of a learner. The value of a username is folded."""

    kind: str
    value: str


USERNAME = "username"
EXTERNAL_ID = "external-id"


def unique_keys(learner: Learner | None) -> set[UniqueKey]:
    """Return the keys of the learner. None, a learner who does not exist yet, has no keys."""
    if learner is None:
        return set()
    keys = {UniqueKey(USERNAME, learner.username_key)}
    if learner.external_id is not None:
        keys.add(UniqueKey(EXTERNAL_ID, learner.external_id))
    return keys


def split_where_keys_move(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Split the changes into batches, so that no batch takes a username or external id that it also gives up.

    One statement could store such a pair in the wrong order and break a unique index.
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
