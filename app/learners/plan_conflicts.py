"""Judges the names in a plan by the state after the whole operation, so that the order of its rows does not matter.

Pure. A name may be handed on, swapped or rotated, if it has one holder in the end.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.learners.plan import NAMES, Fields, Reason

# Why a row cannot have each of the names.
TAKEN = {Fields.USERNAME: Reason.USERNAME_TAKEN, Fields.EXTERNAL_ID: Reason.EXTERNAL_ID_TAKEN}


class Mover(NamedTuple):
    """A planned row that takes a name which another learner has now, or that gives up such a name."""

    item: int
    line: int | None
    # None for a learner to be created.
    learner_id: str | None
    # The names that the row changes. Another spelling of the same username is no change.
    changes: Fields
    # The other learners who have the wanted names now.
    username_holder: str | None
    external_id_holder: str | None
    # Whether the row is to be carried out.
    applies: bool


class Conflict(NamedTuple):
    """A planned row that cannot have the name that it wants, and why."""

    item: int
    reason: Reason
    # The earlier row that gets the name, if it is a row.
    first_line: int | None = None
    # The names that the row must do without, if it is to be applied otherwise.
    names: Fields = Fields(0)


class Claim(NamedTuple):
    """A planned row that may be about the same learner as another row, or want the same name."""

    item: int
    line: int | None
    # None for a learner who does not exist.
    learner_id: str | None
    # The names that the row gives to a learner who exists, or those of a learner who does not exist.
    username_key: str | None
    external_id: str | None
    # Whether the row is to be carried out.
    applies: bool


def find_repeats(claims: Iterable[Claim]) -> list[Conflict]:
    """Return the rows of a learner who has an earlier row, and those that want a name which an earlier row gets.

    `claims` are in the order of the file. The first row of a learner counts, whatever becomes of it. A row that
    another row makes a duplicate counts for nothing.
    """
    seen = _Claims()
    return [conflict for claim in claims if (conflict := seen.add(claim)) is not None]


class _Claims:
    """The rows so far: by learner, by the names of learners who do not exist, and by the names that they give."""

    def __init__(self) -> None:
        self._of_learner: dict[str, Claim] = {}
        self._of_unknown: dict[tuple[Fields, str], Claim] = {}
        self._given: dict[tuple[Fields, str], Claim] = {}

    def add(self, claim: Claim) -> Conflict | None:
        """Add the next row, unless it is a duplicate. Return what is wrong with it."""
        names = [
            (field, name)
            for field, name in (
                (Fields.USERNAME, claim.username_key),
                (Fields.EXTERNAL_ID, claim.external_id),
            )
            if name is not None
        ]
        first = self._find_first(claim, names)
        if first is not None:
            return Conflict(claim.item, Reason.DUPLICATE, first.line)
        if claim.learner_id is not None:
            self._of_learner[claim.learner_id] = claim
        else:
            self._of_unknown |= {name: claim for name in names if name not in self._of_unknown}
        if not claim.applies:
            return None
        for name in names:
            if name in self._given:
                return Conflict(claim.item, TAKEN[name[0]], self._given[name].line)
        self._given |= dict.fromkeys(names, claim)
        return None

    def _find_first(self, claim: Claim, names: Sequence[tuple[Fields, str]]) -> Claim | None:
        """Return the earlier row of the same learner."""
        if claim.learner_id is not None:
            return self._of_learner.get(claim.learner_id)
        known = [self._of_unknown[name] for name in names if name in self._of_unknown]
        if known:
            return min(known)
        # The only name is one that an earlier row gives to a learner who exists, so it is about that learner.
        given = [self._given[name] for name in names if name in self._given]
        return given[0] if given and len(names) == 1 else None


def find_conflicts(movers: Iterable[Mover]) -> list[Conflict]:
    """Return the rows that want a name which its holder keeps.

    A row in conflict gives up nothing, so that its own names stay taken for the rows that want them.
    """
    movers = list(movers)
    by_learner = {mover.learner_id: mover for mover in movers if mover.learner_id is not None}
    # The rows that need what the row of a learner gives up, by this learner.
    waiting: dict[str, list[_Want]] = defaultdict(list)
    rejected: list[_Want] = []
    for mover in movers:
        for want in _wants(mover):
            if _gives_up(by_learner.get(want.holder), want.field):
                waiting[want.holder].append(want)
            else:
                rejected.append(want)
    conflicts: dict[int, Conflict] = {}
    for want in rejected:  # it grows
        if (earlier := conflicts.get(want.mover.item)) is not None:
            conflicts[want.mover.item] = earlier._replace(names=earlier.names | want.field)
            continue
        # With the names that it had to do without before.
        names = want.field | (NAMES & ~want.mover.changes)
        conflicts[want.mover.item] = Conflict(want.mover.item, _reason_of(want), names=names)
        if want.mover.learner_id is not None:
            rejected += waiting[want.mover.learner_id]
    return sorted(conflicts.values())


class _Want(NamedTuple):
    """A name that a row wants, and the other learner who has it now."""

    mover: Mover
    field: Fields
    holder: str


def _wants(mover: Mover) -> list[_Want]:
    holders = ((Fields.USERNAME, mover.username_holder), (Fields.EXTERNAL_ID, mover.external_id_holder))
    return [_Want(mover, field, holder) for field, holder in holders if holder is not None]


def _gives_up(holder: Mover | None, field: Fields) -> bool:
    return holder is not None and holder.applies and bool(holder.changes & field)


def _reason_of(want: _Want) -> Reason:
    if want.field is Fields.EXTERNAL_ID:
        return Reason.EXTERNAL_ID_TAKEN
    return Reason.TWO_LEARNERS if want.mover.learner_id is not None else Reason.OTHER_EXTERNAL_ID


def group_movers(movers: Iterable[Mover]) -> list[list[int]]:
    """Return the items of rows that must be applied together, because names move between their learners."""
    movers = [mover for mover in movers if mover.applies]
    by_learner = {mover.learner_id: mover.item for mover in movers if mover.learner_id is not None}
    leader = {mover.item: mover.item for mover in movers}

    def find(item: int) -> int:
        while leader[item] != item:
            leader[item] = leader[leader[item]]
            item = leader[item]
        return item

    for mover in movers:
        for want in _wants(mover):
            if want.holder in by_learner:
                leader[find(mover.item)] = find(by_learner[want.holder])
    groups: dict[int, list[int]] = {}
    for mover in movers:
        groups.setdefault(find(mover.item), []).append(mover.item)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def take_groups(groups: Sequence[Sequence[int]], limit: int) -> list[int]:
    """Return the items of the first groups, together up to `limit` unless one group alone is larger."""
    taken: list[int] = []
    for group in groups:
        if taken and len(taken) + len(group) > limit:
            break
        taken += group
    return taken
