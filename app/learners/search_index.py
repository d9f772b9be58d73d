"""Keeping the texts of learners searchable: one row for each, and on SQLite its trigrams beside it.

PostgreSQL keeps its index by itself. SQLite's full-text table is written here and not by triggers,
which would make it write its index out after each row (measured: ten times the cost).
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Insert, column, func, insert, literal, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.tables import learner_search
from app.platform.bulk_rows import insert_rows, is_one_of, update_rows
from app.platform.threads import compute

# The column named like the table takes commands (https://sqlite.org/fts5.html#the_delete_command).
_trigrams = table(
    "learner_search_trigrams", column("learner_search_trigrams"), column("rowid"), column("text")
)


async def add_texts(
    connection: AsyncConnection, organization_id: int, texts: Sequence[tuple[str, str]]
) -> None:
    """Store the texts of new learners, as pairs of id and text."""
    if not texts:
        return
    is_sqlite = connection.dialect.name == "sqlite"
    last = (
        (await connection.execute(select(func.max(learner_search.c.number)))).scalar() if is_sqlite else None
    )
    rows = await compute(
        len(texts), lambda: [(organization_id, learner_id, text) for learner_id, text in texts]
    )
    await insert_rows(connection, learner_search, ("organization_id", "learner_id", "text"), rows)
    if is_sqlite:
        await connection.execute(_index(learner_search.c.number > (last or 0)))


async def change_texts(connection: AsyncConnection, texts: Sequence[tuple[str, str]]) -> None:
    """Replace the texts of known learners, as pairs of id and text."""
    if not texts:
        return
    dialect = connection.dialect.name
    among = is_one_of(learner_search.c.learner_id, [learner_id for learner_id, _ in texts], dialect)
    if dialect == "sqlite":
        # The index has to be told what to forget while the old text is still there.
        old = select(literal("delete"), learner_search.c.number, learner_search.c.text).where(among)
        await connection.execute(
            insert(_trigrams).from_select(["learner_search_trigrams", "rowid", "text"], old)
        )
    await update_rows(connection, learner_search, ("learner_id",), ("text",), texts)
    if dialect == "sqlite":
        await connection.execute(_index(among))


def _index(chosen: ColumnElement[bool]) -> Insert:
    texts = select(learner_search.c.number, learner_search.c.text).where(chosen)
    return insert(_trigrams).from_select(["rowid", "text"], texts)
