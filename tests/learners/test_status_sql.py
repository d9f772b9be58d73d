"""The rule in two languages: each SQL expression agrees with its Python form, on both databases."""

from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, Date, Select, bindparam, literal, select, union_all
from sqlalchemy.types import TypeEngine

from app.domain.events import classify_change
from app.domain.status import Account, Status, has_expired, resolve_status, status_unless_expired
from app.learners import status_sql
from app.learners.status_sql import Facts
from app.learners.tables import learners
from app.platform.column_types import Instant
from tests.support.examples import limit_examples
from tests.support.learner_rows import TODAY, accounts, insert_accounts, undone
from tests.support.service import Api

pytestmark = pytest.mark.anyio

SUBSETS = list(chain.from_iterable(combinations(Status, size) for size in range(1, len(Status) + 1)))
today = literal(TODAY, Date)
KINDS: dict[str, TypeEngine[Any]] = {
    "deactivated_at": Instant(),
    "first_accessed_at": Instant(),
    "expires_on": Date(),
}


def python_form(account: Account) -> dict[str, Any]:
    """Return what the rules say about an account, by the names of `sql_form`."""
    status = resolve_status(account, TODAY)
    return {
        "has expired": has_expired(account, TODAY),
        "status": status,
        "status unless expired": status_unless_expired(account),
        "is deactivated": account.deactivated_at is not None,
        "is not deactivated": account.deactivated_at is None,
        "facts have expired": has_expired(account, TODAY),
        "status of facts": status,
        "restored status of facts": status_unless_expired(account),
        **{f"is one of {subset}": status in subset for subset in SUBSETS},
    }


def sql_form() -> list[Any]:
    """Return the same as columns of a query."""
    facts = facts_of(learners.c)
    columns: dict[str, ColumnElement[Any]] = {
        "has expired": status_sql.has_expired(TODAY),
        "status": status_sql.resolve_status(TODAY),
        "status unless expired": learners.c.status_unless_expired,
        "is deactivated": status_sql.is_deactivated(),
        "is not deactivated": status_sql.is_not_deactivated(),
        "facts have expired": status_sql.facts_have_expired(facts, today),
        "status of facts": status_sql.status_of(facts, today),
        "restored status of facts": status_sql.restored_status(facts),
        **{f"is one of {subset}": status_sql.has_status(subset, TODAY) for subset in SUBSETS},
    }
    return [expression.label(name) for name, expression in columns.items()]


def facts_of(columns: Any) -> Facts:
    """Return the facts of an account whose instants and date are in these columns."""
    return Facts(
        columns.deactivated_at.is_not(None), columns.first_accessed_at.is_not(None), columns.expires_on
    )


@limit_examples(50)
@given(drawn=st.lists(accounts, min_size=1, max_size=40))
async def test_sql_agrees_with_the_rules_for_every_account(api: Api, drawn: Any) -> None:
    async with undone(api.service.database) as connection:
        ids = await insert_accounts(connection, api.organization.id, drawn)
        mine = learners.c.organization_id == api.organization.id
        rows = await connection.execute(select(learners.c.id, *sql_form()).where(mine))
        said = {row.pop("id"): row for row in map(dict, rows.mappings())}
    assert said == {each: python_form(account) for each, account in zip(ids, drawn, strict=True)}


# A change that a plan makes: it never records a first access.
changes = st.builds(
    lambda before, after: (before, after._replace(first_accessed_at=before.first_accessed_at)),
    accounts,
    accounts,
)


@limit_examples(50)
@given(drawn=st.lists(changes, min_size=1, max_size=40))
async def test_sql_names_every_change_of_an_account_as_the_rules_do(api: Api, drawn: Any) -> None:
    whole = union_all(*(select_change(place, *change) for place, change in enumerate(drawn))).subquery()
    before, after = (
        Facts(
            whole.c[f"{when}_deactivated_at"].is_not(None),
            whole.c[f"{when}_first_accessed_at"].is_not(None),
            whole.c[f"{when}_expires_on"],
        )
        for when in ("was", "is")
    )
    dates_differ = whole.c.was_expires_on.is_distinct_from(whole.c.is_expires_on)
    statement = select(status_sql.event_type(before, after, dates_differ, today)).order_by(whole.c.place)
    async with api.service.database.read() as connection:
        said = list((await connection.execute(statement)).scalars())
    assert said == [classify_change(before, after, TODAY).value for before, after in drawn]


def select_change(place: int, before: Account, after: Account) -> Select[Any]:
    """Make a query for the facts of an account before and after a change."""
    facts = {
        f"{when}_{name}": bindparam(None, getattr(account, name), type_=kind)
        for when, account in (("was", before), ("is", after))
        for name, kind in KINDS.items()
    }
    return select(literal(place).label("place"), *(value.label(name) for name, value in facts.items()))
