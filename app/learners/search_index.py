"""Keeps the texts of learners searchable: one row for each learner, and on SQLite also its trigrams.

PostgreSQL maintains its index itself. This module writes SQLite's full-text table. Triggers would write the index out
after each row, which costs ten times as much (measured).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Insert, Select, column, func, insert, literal, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from app.learners.tables import learner_search
from app.platform.bulk_rows import insert_rows, is_one_of, update_rows
from app.platform.threads import compute

# The column named like the table takes commands (https://sqlite.org/fts5.html#the_delete_command).
_trigrams = table(
    "learner_search_trigrams", column("learner_search_trigrams"), column("rowid"), column("text")
)


_COLUMNS = ("organization_id", "learner_id", "text")


class LearnerText(NamedTuple):
    """The text in which a learner is searched."""

    learner_id: str
    text: str


async def add_texts(connection: AsyncConnection, organization_id: int, texts: Sequence[LearnerText]) -> None:
    """Store the texts of new learners."""
    if not texts:
        return
    last = await _find_last(connection)
    rows = await compute(len(texts), lambda: [(organization_id, *each) for each in texts])
    await insert_rows(connection, learner_search, _COLUMNS, rows)
    await _index_after(connection, last)


async def add_texts_from(connection: AsyncConnection, texts: Select[Any]) -> None:
    """Store the texts of new learners; the query selects the organization, the learner's id and the text."""
    last = await _find_last(connection)
    await connection.execute(insert(learner_search).from_select(list(_COLUMNS), texts))
    await _index_after(connection, last)


async def _find_last(connection: AsyncConnection) -> int:
    if connection.dialect.name != "sqlite":
        return 0
    return (await connection.execute(select(func.max(learner_search.c.number)))).scalar() or 0


async def _index_after(connection: AsyncConnection, last: int) -> None:
    if connection.dialect.name == "sqlite":
        await connection.execute(_add_to_index(learner_search.c.number > last))


async def change_texts(connection: AsyncConnection, texts: Sequence[LearnerText]) -> None:
    """Replace the texts of known learners."""
    if not texts:
        return
    dialect = connection.dialect.name
    among = is_one_of(learner_search.c.learner_id, [each.learner_id for each in texts], dialect)
    if dialect == "sqlite":
        # SQLite removes a text from the index only if it is told the old text.
        old = select(literal("delete"), learner_search.c.number, learner_search.c.text).where(among)
        await connection.execute(
            insert(_trigrams).from_select(["learner_search_trigrams", "rowid", "text"], old)
        )
    await update_rows(connection, learner_search, ("learner_id",), ("text",), texts)
    if dialect == "sqlite":
        await connection.execute(_add_to_index(among))


def _add_to_index(chosen: ColumnElement[bool]) -> Insert:
    texts = select(learner_search.c.number, learner_search.c.text).where(chosen)
    return insert(_trigrams).from_select(["rowid", "text"], texts)
