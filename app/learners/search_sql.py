"""Searches the texts of learners: trigrams narrow the search down, then the text itself decides.

PostgreSQL has a trigram index (pg_trgm), SQLite a full-text table (FTS5). A migration creates both.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, column, func, literal_column, select, table

from app.domain.profile import fold
from app.learners.learner import PART_BREAK
from app.learners.tables import learner_search, learners

_TRIGRAM = 3
# The most trigrams that narrow a search down. Each one means reading a list. The lists of common trigrams, such as
# those of an email host that many share, are long.
_MOST_TRIGRAMS = 12
_trigrams = table("learner_search_trigrams", column("rowid"))


def contains(wanted: str, organization_id: int, dialect: str) -> tuple[ColumnElement[bool], Select[Any]]:
    """Find learners whose text contains `wanted`, in upper or lower case.

    Returns the condition on each learner, and a query for the ids.
    """
    folded = fold(wanted)
    if dialect == "postgresql":
        return _combine(organization_id, learner_search.c.text.contains(folded, autoescape=True))
    holds = func.instr(learner_search.c.text, folded) > 0
    return _combine(organization_id, holds, _trigram_match(folded))


def has_email(email: str, organization_id: int, dialect: str) -> tuple[ColumnElement[bool], Select[Any]]:
    """Find learners with exactly this email, in upper or lower case. It is the last part of their text."""
    ending = fold(PART_BREAK + email)
    if dialect == "postgresql":
        return _combine(organization_id, learner_search.c.text.endswith(ending, autoescape=True))
    holds = func.substr(learner_search.c.text, -len(ending)) == ending
    return _combine(organization_id, holds, _trigram_match(ending))


def _combine(
    organization_id: int, holds: ColumnElement[bool], in_index: ColumnElement[bool] | None = None
) -> tuple[ColumnElement[bool], Select[Any]]:
    # A value, not EXISTS: without statistics, PostgreSQL may turn EXISTS into a join with every learner.
    walk = select(holds).where(learner_search.c.learner_id == learners.c.id).scalar_subquery()
    found: Select[Any] = select(learner_search.c.learner_id).where(
        learner_search.c.organization_id == organization_id, holds
    )
    if in_index is not None:
        # A join, not `IN`, which would list every match before it returns the first.
        found = found.join_from(_trigrams, learner_search, learner_search.c.number == _trigrams.c.rowid)
        found = found.where(in_index)
    return walk, found


def _trigram_match(folded: str) -> ColumnElement[bool] | None:
    if len(folded) < _TRIGRAM:
        return None  # shorter than the index's entries
    places = range(min(len(folded) - _TRIGRAM + 1, _MOST_TRIGRAMS))
    pieces = {folded[place : place + _TRIGRAM] for place in places}
    query = " AND ".join('"' + piece.replace('"', '""') + '"' for piece in sorted(pieces))
    return literal_column("learner_search_trigrams").bool_op("MATCH")(query)
