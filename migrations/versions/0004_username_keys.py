"""Give stored learners the username keys and the spaces that new ones get.

A key now ignores width, ligatures and runs of spaces besides case. Where the new keys of two learners are equal, the
one who has the key keeps it, otherwise the older one gets it. The other keeps the old key and username, so that
nothing is lost, and a warning names both. Going back restores the keys, but not the spaces.

Revision ID: 0004
Revises: 0003
"""

import logging
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LOG = logging.getLogger("rollcall.migrations")
_BATCH = 1000
_ID = sa.Text().with_variant(sa.Uuid(as_uuid=False), "postgresql")
_BEFORE_ALL = "00000000-0000-0000-0000-000000000000"
_WHITE_SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")

_organizations = sa.table("organizations", sa.column("id", sa.Integer))
_learners = sa.table(
    "learners",
    sa.column("organization_id", sa.Integer),
    sa.column("id", _ID),
    *(sa.column(name, sa.Text) for name in ("username", "username_key", "email")),
    *(sa.column(name, sa.Text) for name in ("first_name", "last_name", "last_name_key")),
)
_search = sa.table(
    "learner_search", sa.column("number"), sa.column("learner_id", _ID), sa.column("text", sa.Text)
)
_trigrams = sa.table("learner_search_trigrams", *map(sa.column, ("learner_search_trigrams", "rowid", "text")))


def upgrade() -> None:
    connection = op.get_bind()
    for organization_id, rows in _read_odd_learners(connection):
        keys = _choose_keys(connection, organization_id, rows, _fold_compatible)
        tidied = [_tidy(row, keys.get(row["id"])) for row in rows]
        changed = [after for before, after in zip(rows, tidied, strict=True) if before != after]
        _store(connection, organization_id, changed)
        _store_texts(connection, {row["id"]: _join_searched(row) for row in changed})


def downgrade() -> None:
    connection = op.get_bind()
    for organization_id, rows in _read_odd_learners(connection):
        keys = _choose_keys(connection, organization_id, rows, _fold_canonical)
        _store(
            connection,
            organization_id,
            [row | {"username_key": keys[row["id"]]} for row in rows if row["id"] in keys],
        )


def _read_odd_learners(connection: sa.Connection) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Read those with more than ASCII and single spaces in their names, by organization, oldest first."""
    names = (_learners.c.username, _learners.c.first_name, _learners.c.last_name)
    is_odd = sa.or_(
        *(name.like("%  %") for name in names),
        *(_count_bytes(connection, name) != sa.func.length(name) for name in names),
    )
    for organization_id in list(connection.scalars(sa.select(_organizations.c.id))):
        after = _BEFORE_ALL
        while True:
            statement = (
                sa.select(_learners)
                .where(_learners.c.organization_id == organization_id, _learners.c.id > after, is_odd)
                .order_by(_learners.c.id)
                .limit(_BATCH)
            )
            rows = [dict(row) for row in connection.execute(statement).mappings()]
            if not rows:
                break
            yield organization_id, rows
            after = rows[-1]["id"]


def _count_bytes(connection: sa.Connection, column: Any) -> Any:
    if connection.dialect.name == "sqlite":
        return sa.func.length(sa.cast(column, sa.LargeBinary))
    return sa.func.octet_length(column)


def _choose_keys(
    connection: sa.Connection,
    organization_id: int,
    rows: Sequence[dict[str, Any]],
    fold: Callable[[str], str],
) -> dict[str, str]:
    """Return the new key of each learner who gets one. No key that changes is the new key of another learner."""
    wanted = {row["id"]: fold(row["username"]) for row in rows}
    wanted = {row["id"]: wanted[row["id"]] for row in rows if wanted[row["id"]] != row["username_key"]}
    holders = sa.select(_learners.c.username_key, _learners.c.id).where(
        _learners.c.organization_id == organization_id, _learners.c.username_key.in_(wanted.values())
    )
    taken: dict[str, str] = {row.username_key: row.id for row in connection.execute(holders)}
    chosen = {}
    for learner_id, key in wanted.items():
        if taken.setdefault(key, learner_id) == learner_id:
            chosen[learner_id] = key
        else:
            _LOG.warning(
                "Learners %s and %s now have the same username. Only the first is found by it. "
                "Give one of them another username.",
                taken[key],
                learner_id,
            )
    return chosen


def _tidy(row: dict[str, Any], key: str | None) -> dict[str, Any]:
    tidied = row if key is None else row | {"username": _fold_spaces(row["username"]), "username_key": key}
    for name in ("first_name", "last_name"):
        if row[name] and _fold_spaces(row[name]) != row[name]:
            tidied = tidied | {name: _fold_spaces(row[name])}
    if tidied["last_name"] != row["last_name"]:
        tidied = tidied | {"last_name_key": _make_sort_form(tidied["last_name"])}
    return tidied


def _store(connection: sa.Connection, organization_id: int, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    set_columns = ("username", "username_key", "first_name", "last_name", "last_name_key")
    statement = (
        sa.update(_learners)
        .where(
            _learners.c.organization_id == organization_id,
            _learners.c.id == sa.bindparam("learner", type_=_ID),
        )
        .values({name: sa.bindparam(f"new_{name}", type_=sa.Text) for name in set_columns})
    )
    values = [{"learner": row["id"], **{f"new_{name}": row[name] for name in set_columns}} for row in rows]
    connection.execute(statement, values)


def _store_texts(connection: sa.Connection, texts: dict[str, str]) -> None:
    if not texts:
        return
    is_sqlite = connection.dialect.name == "sqlite"
    among = _search.c.learner_id.in_(texts)
    if is_sqlite:
        # The index of trigrams forgets a text only if it is told the old text.
        old = sa.select(sa.literal("delete"), _search.c.number, _search.c.text).where(among)
        connection.execute(
            sa.insert(_trigrams).from_select(["learner_search_trigrams", "rowid", "text"], old)
        )
    connection.execute(
        sa.update(_search)
        .where(_search.c.learner_id == sa.bindparam("learner", type_=_ID))
        .values(text=sa.bindparam("new_text", type_=sa.Text)),
        [{"learner": learner_id, "new_text": text} for learner_id, text in texts.items()],
    )
    if is_sqlite:
        new = sa.select(_search.c.number, _search.c.text).where(among)
        connection.execute(sa.insert(_trigrams).from_select(["rowid", "text"], new))


# The rules of the service at this revision.


def _fold_spaces(text: str) -> str:
    return _WHITE_SPACE.sub(" ", text).strip(" ")


def _fold_compatible(username: str) -> str:
    folded = unicodedata.normalize("NFD", username).casefold()
    folded = unicodedata.normalize("NFKC", folded).casefold()
    return _fold_spaces(unicodedata.normalize("NFKC", folded))


def _fold_canonical(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _make_sort_form(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in decomposed if not unicodedata.combining(character))[:255]


def _join_searched(row: dict[str, Any]) -> str:
    name = " ".join(filter(None, (row["first_name"], row["last_name"])))
    return _fold_canonical("\x1f".join((name, row["username"], row["email"] or "")))
