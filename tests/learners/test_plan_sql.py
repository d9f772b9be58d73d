"""A plan that is applied stores and records exactly what the same change of each single learner does."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import LearnerExpired
from app.domain.status import Account
from app.learners import plan_apply, plan_claims, plan_repository, plan_sql, service
from app.learners.plan import Effect, OutcomeName, PlanRow, Rules, row_of_wish
from app.learners.plan_conditions import Scope
from app.learners.plan_conflicts import find_conflicts, group_movers
from app.learners.plan_repository import Verdict
from app.learners.tables import learners, plan_rows
from app.learners.wish import NO_CHANGE, Wish
from tests.support.examples import limit_examples
from tests.support.learner_rows import (
    CAUSE,
    TODAY,
    accounts,
    all_events,
    all_learners,
    all_texts,
    days,
    insert_accounts,
    undone,
)
from tests.support.name_plans import LEARNERS, WITH_EXTERNAL_ID, Row, find_largest_set, name_plans
from tests.support.service import NOON, Api

pytestmark = pytest.mark.anyio

PLAN = 1_000_000
# The plan was made a minute before it is applied.
PLANNED_AT = NOON - timedelta(minutes=1)
PLANNED_TEXT = PLANNED_AT.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
HARD_TEXTS = (
    *("Zoë", "İpek", "O'Hara", "'); --", "a\\b", "%s :x", "李伟", "🎓", "null", "true", "007", "1E+11", "{}"),
    *('say "hi"', "\u2028", PLANNED_TEXT, f'"deactivated_at":"{PLANNED_TEXT}"', "straße", "ﬁona"),
)
texts = st.sampled_from(HARD_TEXTS)
emails = st.sampled_from(["a@example.org", "Zoë@example.org", "b+'c'@example.org"])


class Case(NamedTuple):
    """A learner, and what is asked of them. A number makes the keys of each learner different."""

    account: Account
    profile: dict[str, str | None]
    wish: Wish


def number_keys(place: int, values: dict[str, Any]) -> dict[str, Any]:
    keys = {name: f"{values[name]} {place}" for name in ("username", "external_id") if values.get(name)}
    return values | keys


keys = st.sampled_from(["ada", "Ada", "ADA", *HARD_TEXTS])
optional_fields = {
    "external_id": st.none() | keys,
    "email": st.none() | emails,
    "first_name": st.none() | texts,
    "last_name": st.none() | texts,
}
profiles = st.fixed_dictionaries({"username": keys, **optional_fields})
wished_profiles = st.fixed_dictionaries({}, optional={"username": keys, **optional_fields})
wishes = st.builds(Wish, wished_profiles, st.just(NO_CHANGE) | st.none() | days, st.none() | st.booleans())
cases = st.builds(Case, accounts, profiles, wishes)


def number_cases(drawn: Sequence[Case]) -> list[Case]:
    return [
        Case(
            each.account,
            number_keys(place, each.profile),
            Wish(number_keys(place, dict(each.wish.profile)), each.wish.expires_on, each.wish.is_active),
        )
        for place, each in enumerate(drawn)
    ]


async def change_each(
    connection: AsyncConnection, organization_id: int, ids: Sequence[str], wanted: Sequence[Wish]
) -> list[Any]:
    """Change each learner alone, and return the outcome of each."""
    outcomes: list[Any] = []
    for learner_id, wish in zip(ids, wanted, strict=True):
        before = await service.get_learner(connection, organization_id, learner_id)
        try:
            after = await service.change_learner(
                connection, organization_id, learner_id, wish, expected=None, cause=CAUSE
            )
        except LearnerExpired as error:
            outcomes.append(("refused", error.reason.expires_on, error.reason.restores_to.value))
        else:
            outcomes.append(("unchanged" if after.version == before.version else "changed",))
    return outcomes


async def add_plan(
    connection: AsyncConnection, organization_id: int, rows: Sequence[PlanRow], rules: Rules
) -> list[Any]:
    """Plan these rows, and return the planned outcome of each."""
    await plan_sql.add_rows(
        connection, organization_id, PLAN, rows, rules, today=TODAY, planned_at=PLANNED_AT
    )
    planned = (
        await connection.execute(select(plan_rows).where(plan_rows.c.plan == PLAN).order_by(plan_rows.c.item))
    ).all()
    facts = await plan_repository.list_unexplained(connection, organization_id, Scope(PLAN))
    explained = {row.item: (row.expires_on, row.restores_to) for row in facts}
    return [(row.outcome, *explained.get(row.item, ())) for row in planned]


async def apply_plan(connection: AsyncConnection, organization_id: int, *, moves_names: bool = False) -> None:
    scope = Scope(PLAN)
    await plan_apply.lock(connection, organization_id, scope)
    assert await plan_apply.find_stale(connection, organization_id, scope) == []
    await plan_apply.apply(connection, organization_id, scope, CAUSE, PLANNED_AT, moves_names=moves_names)


async def read_stored(connection: AsyncConnection, organization_id: int) -> dict[str, Any]:
    """Return everything that the organization has stored of learners, without the positions of events."""
    recorded = await all_events(connection, organization_id)
    for event in recorded:
        del event["position"]
    return {
        "learners": await all_learners(connection, organization_id),
        "events": recorded,
        "texts": await all_texts(connection, organization_id),
    }


@pytest.mark.parametrize("moves_names", [False, True], ids=["in order", "moving names"])
@limit_examples(60)
@given(drawn=st.lists(cases, min_size=1, max_size=25))
async def test_plan_stores_what_single_changes_store(
    api: Api, drawn: list[Case], *, moves_names: bool
) -> None:
    organization_id = api.organization.id
    numbered = number_cases(drawn)
    wanted = [each.wish for each in numbered]
    async with undone(api.service.database) as connection:
        ids = await insert_accounts(
            connection,
            organization_id,
            [each.account for each in numbered],
            [each.profile for each in numbered],
        )
        async with connection.begin_nested() as nested:
            outcomes = await change_each(connection, organization_id, ids, wanted)
            stored = await read_stored(connection, organization_id)
            await nested.rollback()
        rows = [
            row_of_wish(item, None, wish)._replace(learner_id=learner_id)
            for item, (learner_id, wish) in enumerate(zip(ids, wanted, strict=True))
        ]
        assert await add_plan(connection, organization_id, rows, Rules()) == outcomes
        await apply_plan(connection, organization_id, moves_names=moves_names)
        assert await read_stored(connection, organization_id) == stored
        await check_effects(connection, organization_id)


async def check_effects(connection: AsyncConnection, organization_id: int) -> None:
    """The effects of each planned row are those that its event shows."""
    recorded = {
        event["learner_id"]: event
        for event in await all_events(connection, organization_id)
        if event["operation_id"] == CAUSE.operation_id
    }
    for row in await connection.execute(select(plan_rows).where(plan_rows.c.plan == PLAN)):
        event = recorded.get(row.learner_id)
        expected = Effect(0)
        if event is not None:
            before, after = event["before"], event["after"]
            if "deactivated_at" in after:
                is_now = after["deactivated_at"] is not None
                expected |= Effect.DEACTIVATED | Effect.DEACTIVATED_NOW if is_now else Effect.ACTIVATED
            expected |= Effect.RENAMED if "username" in after else Effect(0)
            expected |= Effect.REKEYED if before.get("external_id") else Effect(0)
            expected |= Effect.EXPIRATION if "expires_on" in after else Effect(0)
        assert Effect(row.effects) & ~Effect.ASKS_TO_DEACTIVATE == expected


@limit_examples(40)
@given(drawn=st.lists(cases, min_size=1, max_size=15))
async def test_plan_creates_what_single_creations_create(api: Api, drawn: list[Case]) -> None:
    organization_id = api.organization.id
    wanted = [
        Wish(number_keys(place, each.profile), each.wish.expires_on, each.wish.is_active)
        for place, each in enumerate(drawn)
    ]
    async with undone(api.service.database) as connection:
        async with connection.begin_nested() as nested:
            outcomes: list[Any] = []
            for wish in wanted:
                try:
                    await service.create_learner(connection, organization_id, wish, CAUSE)
                except LearnerExpired as error:
                    outcomes.append(("refused", error.reason.expires_on, error.reason.restores_to.value))
                else:
                    outcomes.append(("created",))
            stored = await read_named(connection, organization_id)
            await nested.rollback()
        rows = [row_of_wish(item, None, wish) for item, wish in enumerate(wanted)]
        assert await add_plan(connection, organization_id, rows, Rules(create=True)) == outcomes
        await apply_plan(connection, organization_id)
        assert await read_named(connection, organization_id) == stored


async def read_named(connection: AsyncConnection, organization_id: int) -> dict[str, Any]:
    """Return what is stored by username instead of ids, which are new each time."""
    stored = await read_stored(connection, organization_id)
    names = {row["id"]: row["username"] for row in stored["learners"]}
    assert len({event["id"] for event in stored["events"]}) == len(stored["events"])
    return {
        "learners": {row["username"]: {**row, "id": None} for row in stored["learners"]},
        "events": {
            names[event["learner_id"]]: {**event, "id": None, "learner_id": None}
            for event in stored["events"]
        },
        "texts": {names[learner_id]: text for learner_id, text in stored["texts"].items()},
    }


async def test_events_of_a_plan_have_unique_ids(api: Api) -> None:
    async with undone(api.service.database) as connection:
        ids = await insert_accounts(connection, api.organization.id, [Account()] * 300)
        rows = [PlanRow(item, learner_id=each, active=False) for item, each in enumerate(ids)]
        await add_plan(connection, api.organization.id, rows, Rules())
        await apply_plan(connection, api.organization.id)
        recorded = await all_events(connection, api.organization.id)
    assert len({event["id"] for event in recorded}) == 300


async def test_rows_of_unknown_learners_are_not_found(api: Api) -> None:
    other = await api.service.found_organization()
    async with undone(api.service.database) as connection:
        (stranger,) = await insert_accounts(connection, other.id, [Account()])
        rows = [
            PlanRow(0, learner_id=stranger, active=False),
            PlanRow(1, learner_id="019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11", active=False),
            row_of_wish(2, None, Wish({"username": "drawn0"}, is_active=False)),
            row_of_wish(3, None, Wish({"external_id": "HR-1"}, is_active=False)),
        ]
        planned = await add_plan(connection, api.organization.id, rows, Rules())
        assert [outcome for outcome, *_ in planned] == ["not_found"] * 4
        await apply_plan(connection, api.organization.id)
        assert await read_stored(connection, api.organization.id) == {
            "learners": [],
            "events": [],
            "texts": {},
        }
        assert [row["deactivated_at"] for row in await all_learners(connection, other.id)] == [None]


async def test_learner_who_has_changed_since_makes_the_row_stale(api: Api) -> None:
    async with undone(api.service.database) as connection:
        organization_id = api.organization.id
        ids = await insert_accounts(connection, organization_id, [Account()] * 3)
        rows = [PlanRow(item, learner_id=each, active=False) for item, each in enumerate(ids)]
        await add_plan(connection, organization_id, rows, Rules())
        await service.change_learner(
            connection, organization_id, ids[1], Wish({"email": "a@b.c"}), expected=None, cause=CAUSE
        )
        assert await plan_apply.find_stale(connection, organization_id, Scope(PLAN)) == [1]


async def test_name_that_was_taken_since_makes_the_row_stale(api: Api) -> None:
    async with undone(api.service.database) as connection:
        organization_id = api.organization.id
        ids = await insert_accounts(connection, organization_id, [Account()] * 4)
        rows = [
            row_of_wish(0, None, Wish({"username": "taken"}))._replace(learner_id=ids[0]),
            row_of_wish(1, None, Wish({"external_id": "HR-1"}))._replace(learner_id=ids[1]),
            row_of_wish(2, None, Wish({"username": "free"}))._replace(learner_id=ids[2]),
            row_of_wish(3, None, Wish({"username": "Taken"})),
        ]
        await add_plan(connection, organization_id, rows[:3], Rules())
        await service.change_learner(
            connection,
            organization_id,
            ids[3],
            Wish({"username": "TAKEN", "external_id": "HR-1"}),
            expected=None,
            cause=CAUSE,
        )
        assert await plan_apply.find_stale(connection, organization_id, Scope(PLAN)) == [0, 1]


async def test_usernames_of_a_ring_move_in_one_statement(api: Api) -> None:
    """Unique indexes are checked row by row, in any order."""
    async with undone(api.service.database) as connection:
        organization_id = api.organization.id
        size = 30
        profiles: list[Any] = [{"external_id": f"HR-{place}"} for place in range(size)]
        ids = await insert_accounts(connection, organization_id, [Account()] * size, profiles)
        rows = [
            row_of_wish(
                place, None, Wish({"username": f"Drawn{next_one}", "external_id": f"HR-{next_one}"})
            )._replace(learner_id=ids[place])
            for place, next_one in ((place, (place + 7) % size) for place in range(size))
        ]
        assert await add_plan(connection, organization_id, rows, Rules()) == [("changed",)] * size
        await apply_plan(connection, organization_id, moves_names=True)
        statement = select(
            learners.c.id, learners.c.username, learners.c.username_key, learners.c.external_id
        )
        found = {
            row.id: tuple(row)[1:]
            for row in await connection.execute(
                statement.where(learners.c.organization_id == organization_id)
            )
        }
        assert [found[each] for each in ids] == [
            (f"Drawn{place}", f"drawn{place}", f"HR-{place}")
            for place in ((place + 7) % size for place in range(size))
        ]


@limit_examples(150)
@given(drawn=name_plans)
async def test_names_move_as_far_as_every_name_keeps_one_holder(api: Api, drawn: list[Row]) -> None:
    """Whatever the order of the rows: each group whose names move is applied before the rest, as operations do it."""
    organization_id, scope = api.organization.id, Scope(PLAN)
    drawn = [row for row in drawn if row.learner is not None or is_about_nobody(row)]
    applied = find_largest_set(drawn)
    async with undone(api.service.database) as connection:
        profiles: list[Any] = [
            {
                "username": f"name{number}",
                "external_id": f"HR-{number}" if number < WITH_EXTERNAL_ID else None,
            }
            for number in range(LEARNERS)
        ]
        refusing = {row.learner for row in drawn if not row.applies}
        learner_accounts = [
            Account(expires_on=TODAY - timedelta(days=1) if number in refusing else None)
            for number in range(LEARNERS)
        ]
        ids = await insert_accounts(connection, organization_id, learner_accounts, profiles)
        rows = [make_row(item, row, ids) for item, row in enumerate(drawn)]
        await add_plan(connection, organization_id, rows, Rules(create=True))
        movers = await plan_claims.list_movers(connection, PLAN)
        verdicts = [Verdict(each.item, OutcomeName.INVALID, each.reason) for each in find_conflicts(movers)]
        await plan_repository.reject(connection, PLAN, verdicts)
        movers = await plan_claims.list_movers(connection, PLAN)
        assert find_conflicts(movers) == []
        for group in group_movers(movers):
            group_scope = Scope(PLAN, items=group)
            assert await plan_apply.find_stale(connection, organization_id, group_scope) == []
            await plan_apply.apply(
                connection, organization_id, group_scope, CAUSE, PLANNED_AT, moves_names=True
            )
        assert await plan_apply.find_stale(connection, organization_id, scope) == []
        await plan_apply.apply(connection, organization_id, scope, CAUSE, PLANNED_AT)
        found = await all_learners(connection, organization_id)
    names = sorted((row["username"], row["external_id"] or "") for row in found)
    assert names == sorted(list_names(drawn, applied))


def is_about_nobody(row: Row) -> bool:
    """Return whether no learner is found by the names of this row, so that it creates one."""
    holder_has_other_id = (row.username or 0) < WITH_EXTERNAL_ID and row.external_id is not None
    has_known_id = row.external_id is not None and row.external_id < WITH_EXTERNAL_ID
    return not has_known_id and ((row.username or 0) >= LEARNERS or holder_has_other_id)


def make_row(item: int, row: Row, ids: Sequence[str]) -> PlanRow:
    """Make what a file or a revert asks for. A row that is refused activates a learner who has expired."""
    profile: dict[str, str | None] = {} if row.username is None else {"username": f"name{row.username}"}
    if row.sets_external_id:
        profile["external_id"] = None if row.external_id is None else f"HR-{row.external_id}"
    is_new_and_refused = row.learner is None and not row.applies
    wish = Wish(
        profile,
        TODAY - timedelta(days=1) if is_new_and_refused else NO_CHANGE,
        None if row.applies else True,
    )
    planned = row_of_wish(item, None, wish)
    return planned if row.learner is None else planned._replace(learner_id=ids[row.learner])


def list_names(drawn: Sequence[Row], applied: set[int]) -> list[tuple[str, str]]:
    """Return the username and external id of each learner after these rows."""
    by_learner = {row.learner: row for item, row in enumerate(drawn) if item in applied}
    found = []
    for number in range(LEARNERS):
        username, external_id = number, number if number < WITH_EXTERNAL_ID else None
        row = by_learner.get(number)
        if row is not None:
            username = number if row.username is None else row.username
            external_id = row.external_id if row.sets_external_id else external_id
        found.append((username, external_id))
    found += [
        (row.username or 0, row.external_id)
        for item, row in enumerate(drawn)
        if item in applied and row.learner is None
    ]
    return [(f"name{name}", "" if number is None else f"HR-{number}") for name, number in found]
