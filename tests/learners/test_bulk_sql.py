"""A bulk action stores and records exactly what the same action on each single learner does."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import LearnerExpired
from app.domain.status import Account
from app.learners import bulk_sql, service
from app.learners.bulk_sql import Action
from app.learners.wish import Wish
from app.platform.ids import instant_of
from tests.support.examples import limit_examples
from tests.support.learner_rows import CAUSE, accounts, all_events, all_learners, insert_accounts, undone
from tests.support.service import NOON, Api

pytestmark = pytest.mark.anyio

UUID7 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
WISHES = {Action.ACTIVATE: Wish(is_active=True), Action.DEACTIVATE: Wish(is_active=False)}


async def act_on_each(
    connection: AsyncConnection, action: Action, organization_id: int, ids: list[str]
) -> dict[str, Any]:
    """Act on each learner alone, and return the outcome of each."""
    outcomes: dict[str, Any] = {}
    for learner_id in ids:
        version = (await service.get_learner(connection, organization_id, learner_id)).version
        try:
            learner = await service.change_learner(
                connection, organization_id, learner_id, WISHES[action], expected=None, cause=CAUSE
            )
        except LearnerExpired as error:
            outcomes[learner_id] = ("refused", error.reason.expires_on, error.reason.restores_to.value)
        else:
            outcomes[learner_id] = ("unchanged" if learner.version == version else "changed", None, None)
    return outcomes


async def act_on_all(
    connection: AsyncConnection, action: Action, organization_id: int, ids: list[str]
) -> dict[str, Any]:
    """Act on all learners at once, and return the outcome of each."""
    decided = bulk_sql.select_decisions(action, organization_id, ids, CAUSE, connection.dialect.name)
    rows = (await connection.execute(decided)).all()
    assert [row.id for row in rows] == sorted(ids)
    await bulk_sql.apply_action(connection, action, organization_id, ids, CAUSE)
    return {
        row.id: (row.outcome, row.expires_on, row.restores_to)
        if row.outcome == "refused"
        else (row.outcome, None, None)
        for row in rows
    }


@pytest.mark.parametrize("action", Action)
@limit_examples(25)
@given(drawn=st.lists(accounts, min_size=1, max_size=25), left_out=st.lists(accounts, max_size=3))
async def test_bulk_action_stores_what_single_actions_store(
    api: Api, action: Action, drawn: Any, left_out: Any
) -> None:
    organization_id = api.organization.id
    async with undone(api.service.database) as connection:
        inserted = await insert_accounts(connection, organization_id, [*drawn, *left_out])
        ids = inserted[: len(drawn)]
        came_out = []
        for act in (act_on_each, act_on_all):
            async with connection.begin_nested() as nested:
                outcomes = await act(connection, action, organization_id, ids)
                recorded = await all_events(connection, organization_id)
                stored = await all_learners(connection, organization_id)
                await nested.rollback()
            for event in recorded:
                event_id = event.pop("id")
                assert UUID7.fullmatch(event_id)
                assert instant_of(event_id) == NOON
                del event["position"]
            came_out.append((outcomes, stored, recorded))
    assert came_out[0] == came_out[1]


async def test_events_of_a_bulk_action_have_unique_ids(api: Api) -> None:
    async with undone(api.service.database) as connection:
        ids = await insert_accounts(connection, api.organization.id, [Account()] * 300)
        await bulk_sql.apply_action(connection, Action.DEACTIVATE, api.organization.id, ids, CAUSE)
        recorded = await all_events(connection, api.organization.id)
    assert len({event["id"] for event in recorded}) == 300
