"""The rule in two languages: each SQL expression agrees with its Python form, on both databases."""

from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, select

from app.domain.status import Account, Status, has_expired, resolve_status, status_unless_expired
from app.domain.transitions import Refused, activate, deactivate
from app.learners import status_sql
from app.learners.tables import learners
from tests.support.examples import limit_examples
from tests.support.learner_rows import TODAY, accounts, insert_accounts, undone
from tests.support.service import NOON, Api

pytestmark = pytest.mark.anyio

SUBSETS = list(chain.from_iterable(combinations(Status, size) for size in range(1, len(Status) + 1)))


def python_form(account: Account) -> dict[str, Any]:
    """Return what the rules say about an account, by the names of `sql_form`."""
    status = resolve_status(account, TODAY)
    activation, deactivation = activate(account, TODAY), deactivate(account, NOON)
    activated = account if isinstance(activation, Refused) else activation.account
    return {
        "has expired": has_expired(account, TODAY),
        "status": status,
        "status unless expired": status_unless_expired(account),
        "activate": type(activation).__name__.lower(),
        "status once activated": resolve_status(activated, TODAY),
        "deactivate": type(deactivation).__name__.lower(),
        "status once deactivated": resolve_status(deactivation.account, TODAY),
        **{f"is one of {subset}": status in subset for subset in SUBSETS},
    }


def sql_form() -> list[Any]:
    """Return the same as columns of a query."""
    once_activated, once_deactivated = (
        status_sql.resolve_status(TODAY, unless_expired)
        for unless_expired in (status_sql.status_after_activation(), status_sql.status_after_deactivation())
    )
    columns: dict[str, ColumnElement[Any]] = {
        "has expired": status_sql.has_expired(TODAY),
        "status": status_sql.resolve_status(TODAY),
        "status unless expired": learners.c.status_unless_expired,
        "activate": status_sql.activate_outcome(TODAY),
        "status once activated": once_activated,
        "deactivate": status_sql.deactivate_outcome(),
        "status once deactivated": once_deactivated,
        **{f"is one of {subset}": status_sql.has_status(subset, TODAY) for subset in SUBSETS},
    }
    return [expression.label(name) for name, expression in columns.items()]


@limit_examples(50)
@given(drawn=st.lists(accounts, min_size=1, max_size=40))
async def test_sql_agrees_with_the_rules_for_every_account(api: Api, drawn: Any) -> None:
    async with undone(api.service.database) as connection:
        ids = await insert_accounts(connection, api.organization.id, drawn)
        mine = learners.c.organization_id == api.organization.id
        rows = await connection.execute(select(learners.c.id, *sql_form()).where(mine))
        said = {row.pop("id"): row for row in map(dict, rows.mappings())}
    assert said == {each: python_form(account) for each, account in zip(ids, drawn, strict=True)}
