"""Searching the texts of learners: trigrams narrow down, then the text itself decides.

PostgreSQL has its trigram index (pg_trgm), SQLite its full-text table (FTS5); both were made by the migration.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, column, func, literal_column, select, table

from app.domain.profile import fold
from app.learners.learner import PART_BREAK
from app.learners.tables import learner_search, learners

_TRIGRAM = 3
# Trigrams that narrow down, from the beginning: each costs a list of its own, the host in every email above all.
_MOST_TRIGRAMS = 12
_trigrams = table("learner_search_trigrams", column("rowid"))


def contains(wanted: str, organization_id: int, dialect: str) -> tuple[ColumnElement[bool], Select[Any]]:
    """Learners whose text contains `wanted` in any case: the condition on each, and a query for their ids."""
    folded = fold(wanted)
    if dialect == "postgresql":
        return _both(organization_id, learner_search.c.text.contains(folded, autoescape=True))
    holds = func.instr(learner_search.c.text, folded) > 0
    return _both(organization_id, holds, _trigram_match(folded))


def has_email(email: str, organization_id: int, dialect: str) -> tuple[ColumnElement[bool], Select[Any]]:
    """Learners with exactly this email in any case, which is the last part of their text."""
    ending = fold(PART_BREAK + email)
    if dialect == "postgresql":
        return _both(organization_id, learner_search.c.text.endswith(ending, autoescape=True))
    holds = func.substr(learner_search.c.text, -len(ending)) == ending
    return _both(organization_id, holds, _trigram_match(ending))


def _both(
    organization_id: int, holds: ColumnElement[bool], narrowed: ColumnElement[bool] | None = None
) -> tuple[ColumnElement[bool], Select[Any]]:
    # A value, not EXISTS: PostgreSQL may turn EXISTS into a join of everyone where it has no statistics.
    walk = select(holds).where(learner_search.c.learner_id == learners.c.id).scalar_subquery()
    found: Select[Any] = select(learner_search.c.learner_id).where(
        learner_search.c.organization_id == organization_id, holds
    )
    if narrowed is not None:
        # Joined, not `IN`, which would list every match before the first is seen.
        found = found.join_from(_trigrams, learner_search, learner_search.c.number == _trigrams.c.rowid)
        found = found.where(narrowed)
    return walk, found


def _trigram_match(folded: str) -> ColumnElement[bool] | None:
    if len(folded) < _TRIGRAM:
        return None  # shorter than what the index holds
    places = range(min(len(folded) - _TRIGRAM + 1, _MOST_TRIGRAMS))
    pieces = {folded[place : place + _TRIGRAM] for place in places}
    query = " AND ".join('"' + piece.replace('"', '""') + '"' for piece in sorted(pieces))
    return literal_column("learner_search_trigrams").bool_op("MATCH")(query)
