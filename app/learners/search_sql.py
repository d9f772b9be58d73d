"""Searching the texts of learners: trigrams narrow down, then the text itself decides.

PostgreSQL has its trigram index (pg_trgm), SQLite its full-text table (FTS5); both were made by the migration.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, column, func, literal_column, select, table

from app.domain.profile import fold
from app.learners.tables import learner_search, learners

_TRIGRAM = 3
_trigrams = table("learner_search_trigrams", column("rowid"))


def contains(
    wanted: str, organization_id: int, dialect: str
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Learners whose text contains `wanted` in any case, as (walk, seek): see filters_sql.Criterion."""
    folded = fold(wanted)
    if dialect == "postgresql":
        return _both(organization_id, learner_search.c.text.contains(folded, autoescape=True))
    holds = func.instr(learner_search.c.text, folded) > 0
    return _both(organization_id, holds, _trigram_match(folded))


def has_email(
    email: str, organization_id: int, dialect: str
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Learners with exactly this email in any case, which is the last line of their text."""
    ending = fold("\n" + email)
    if dialect == "postgresql":
        return _both(organization_id, learner_search.c.text.endswith(ending, autoescape=True))
    holds = func.substr(learner_search.c.text, -len(ending)) == ending
    return _both(organization_id, holds, _trigram_match(ending))


def _both(
    organization_id: int, holds: ColumnElement[bool], narrowed: ColumnElement[bool] | None = None
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    walk = select(1).where(learner_search.c.learner_id == learners.c.id, holds).exists()
    sought = holds if narrowed is None else and_(narrowed, holds)
    found: Select[Any] = select(learner_search.c.learner_id).where(
        learner_search.c.organization_id == organization_id, sought
    )
    return walk, learners.c.id.in_(found)


def _trigram_match(folded: str) -> ColumnElement[bool] | None:
    if len(folded) < _TRIGRAM:
        return None  # shorter than what the index holds
    pieces = {folded[place : place + _TRIGRAM] for place in range(len(folded) - _TRIGRAM + 1)}
    query = " AND ".join('"' + piece.replace('"', '""') + '"' for piece in sorted(pieces))
    matching = select(_trigrams.c.rowid).where(literal_column("learner_search_trigrams").op("MATCH")(query))
    return learner_search.c.number.in_(matching)
