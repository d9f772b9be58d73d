"""Whose row it is, and who has which name after the file: an import is judged as a whole, whatever the order."""

import random
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.rows import DateFormat, compile_parser
from app.learners.decide import Unchanged, decide_change, decide_creation
from app.learners.learner import Cause, Learner
from app.learners.repository import list_chosen
from app.learners.tables import learners as table
from tests.support.answers import problem
from tests.support.examples import limit_examples
from tests.support.service import NOON, Api
from tests.support.stored import all_learners, all_outcomes, another, stored_state

pytestmark = pytest.mark.anyio

KEYS = "Username,External ID\n"


async def stored(api: Api) -> dict[str, Any]:
    """Return the external id of each learner, by username."""
    return {name: each["external_id"] for name, each in (await all_learners(api)).items()}


async def ids(api: Api) -> dict[str, str]:
    return {name: each["id"] for name, each in (await all_learners(api)).items()}


async def apply(api: Api, text: str, **params: Any) -> dict[int, str]:
    """Import a file, in chunks of three rows, after a dry run. Return the outcome or the first problem by line.

    The dry run must show the same, and change nothing.
    """
    with api.service.limited(chunk_rows=3):
        before = await stored_state(api.service.database, api.organization.id)
        dry = await api.import_csv(text, **params, dry_run=True)
        after = await stored_state(api.service.database, api.organization.id)
        assert (after["learners"], after["events"], after["texts"]) == (
            before["learners"],
            before["events"],
            before["texts"],
        )
        real = await api.import_csv(text, **params)
    for name in (
        "state",
        "counts",
        "warnings",
        "problem",
        "deactivated",
        "activated",
        "renamed",
        "rekeyed",
        "expiration_changed",
    ):
        assert dry[name] == real[name], name
    told = [
        [
            {
                name: value
                for name, value in each.items()
                if name != "learner_id" or each["outcome"] != "created"
            }
            for each in await all_outcomes(api, operation)
        ]
        for operation in (dry, real)
    ]
    assert told[0] == told[1]
    await expect_changes_as_recorded(api, real)
    return {
        each["line"]: each["problems"][0]["code"] if each["problems"] else each["outcome"] for each in told[1]
    }


async def expect_changes_as_recorded(api: Api, operation: dict[str, Any]) -> None:
    """Expect that the outcomes have the changes that the events have recorded."""
    state = await stored_state(api.service.database, api.organization.id)
    events = {each["learner_id"]: each for each in state["events"] if each["operation_id"] == operation["id"]}
    applied = [
        each for each in await all_outcomes(api, operation) if each["outcome"] in ("created", "changed")
    ]
    if operation["state"] == "refused":
        assert not events
        return
    assert {each["learner_id"] for each in applied} == events.keys()
    for each in applied:
        before, after = events[each["learner_id"]]["before"], events[each["learner_id"]]["after"]
        if each["outcome"] == "created":
            continue
        changed = {name: [before.get(name), value] for name, value in after.items()}
        assert each["changes"] == {name: pair for name, pair in changed.items() if pair[0] != pair[1]}


# Whose row it is


async def test_known_external_id_wins_and_the_username_renames(api: Api) -> None:
    await api.import_csv(KEYS + "a.okafor,HR-1\n")
    known = await ids(api)

    assert await apply(api, KEYS + "ada.okafor,HR-1\n") == {2: "changed"}

    assert await ids(api) == {"ada.okafor": known["a.okafor"]}


async def test_learner_without_external_id_takes_on_that_of_the_row(api: Api) -> None:
    await api.import_csv(KEYS + "a,\n")
    known = await ids(api)

    assert await apply(api, KEYS + "A,HR-1\n") == {2: "changed"}

    assert (await stored(api), await ids(api)) == ({"a": "HR-1"}, known)


async def test_leavers_name_with_another_external_id_is_a_conflict(api: Api) -> None:
    await api.import_csv("Username,External ID,Email\na,HR-1,old@example.org\n")
    before = await all_learners(api)

    told = await apply(api, "Username,External ID,Email\na,HR-2,new@example.org\n")

    assert told == {2: "identity-conflict"}
    assert await all_learners(api) == before


async def test_rekey_gives_the_learner_with_the_username_another_external_id(api: Api) -> None:
    await api.import_csv(KEYS + "a,HR-1\n")
    known = await ids(api)

    assert await apply(api, KEYS + "a,HR-2\n", rekey=True) == {2: "changed"}

    assert (await stored(api), await ids(api)) == ({"a": "HR-2"}, known)


OWN_ROWS = {
    # The rows, what becomes of them with rekey=true, and who has which external id then.
    "renames": (["a,HR-9,", "z,HR-1,"], ["created", "changed"], {"a": "HR-9", "z": "HR-1"}),
    "keeps": (["a,HR-9,", "a,HR-1,"], ["identity-conflict", "unchanged"], {"a": "HR-1"}),
    "without a name": (["a,HR-9,", ",HR-1,No"], ["identity-conflict", "changed"], {"a": "HR-1"}),
    "is invalid": (["a,HR-9,", "z,HR-1,Maybe"], ["identity-conflict", "invalid-active"], {"a": "HR-1"}),
    "among several": (
        ["a,HR-9,", "a,HR-8,", "z,HR-1,"],
        ["created", "duplicate-row", "changed"],
        {"a": "HR-9", "z": "HR-1"},
    ),
}


@pytest.mark.parametrize("case", OWN_ROWS)
@pytest.mark.parametrize("is_reversed", [False, True])
async def test_learners_own_row_wins_over_a_rekey(api: Api, case: str, is_reversed: bool) -> None:
    rows, expected, after = OWN_ROWS[case]
    await api.import_csv(KEYS + "a,HR-1\n")
    known = await ids(api)
    order = list(range(len(rows)))
    if is_reversed:
        # Rows of the same learner keep their order, because the first of them counts.
        order = [order[-1], *order[:-1]]
    fillers = [f"filler{number},," for number in range(4)]
    placed = [rows[order[0]], *fillers, *(rows[index] for index in order[1:])]

    told = await apply(
        api, "Username,External ID,Active\n" + "".join(f"{row}\n" for row in placed), rekey=True
    )

    lines = [placed.index(row) + 2 for row in rows]
    assert [told[line] for line in lines] == expected
    now = await all_learners(api)
    assert {name: each["external_id"] for name, each in now.items() if "filler" not in name} == after
    assert [each["id"] for each in now.values() if each["external_id"] == "HR-1"] == [known["a"]]


async def test_refused_rekey_yields_to_the_learners_own_row(api: Api) -> None:
    await api.create(username="a", external_id="HR-1", expires_on="2026-11-01")
    text = "Username,External ID,Active,Email\na,HR-9,Yes,\n,HR-1,,a@example.org\n"

    assert await apply(api, text, rekey=True) == {2: "identity-conflict", 3: "changed"}


async def test_other_spelling_of_the_username_that_finds_a_learner_changes_nothing(api: Api) -> None:
    await api.import_csv(KEYS + "A.Okafor,\nb,HR-1\n")

    assert await apply(api, "Username\na.okafor\n\uff22\n") == {2: "unchanged", 3: "unchanged"}
    assert await apply(api, KEYS + "B,HR-1\n") == {2: "changed"}

    assert set(await stored(api)) == {"A.Okafor", "B"}


async def test_other_spelling_of_a_username_does_not_give_it_up(api: Api) -> None:
    await api.import_csv(KEYS + "a,HR-1\nb,HR-2\n")

    assert await apply(api, KEYS + "A,HR-1\na,HR-2\n") == {2: "changed", 3: "identity-conflict"}

    assert await stored(api) == {"A": "HR-1", "b": "HR-2"}
    assert await apply(api, KEYS + "x,HR-1\nA,HR-2\n") == {2: "changed", 3: "changed"}
    assert await stored(api) == {"x": "HR-1", "A": "HR-2"}


# Names that move


async def create_ring(api: Api, length: int) -> dict[str, str]:
    with api.service.limited(chunk_rows=5000):
        await api.import_csv(KEYS + "".join(f"u{number},HR-{number}\n" for number in range(length)))
    return {each["external_id"]: each["id"] for each in (await all_learners(api)).values()}


@pytest.mark.parametrize("length", [2, 3, 7, 40])
async def test_ring_of_usernames_is_applied_across_chunks(api: Api, length: int) -> None:
    known = await create_ring(api, length)
    rows = [f"u{(number + 1) % length},HR-{number}\n" for number in range(length)]
    random.Random(length).shuffle(rows)

    told = await apply(api, KEYS + "".join(rows))

    assert set(told.values()) == {"changed"}
    now = await all_learners(api)
    assert {name: each["external_id"] for name, each in now.items()} == {
        f"u{(number + 1) % length}": f"HR-{number}" for number in range(length)
    }
    assert {each["external_id"]: each["id"] for each in now.values()} == known
    assert {each["version"] for each in now.values()} == {2}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_name_is_handed_on_in_any_order_of_the_rows(api: Api, seed: int) -> None:
    known = await create_ring(api, 8)
    rows = [f"u{number + 1},HR-{number}\n" for number in range(8)] + ["u0,HR-new\n", "other,\n"]
    random.Random(seed).shuffle(rows)

    told = await apply(api, KEYS + "".join(rows))

    assert sorted(told.values()) == ["changed"] * 8 + ["created"] * 2
    now = await all_learners(api)
    assert {each["external_id"]: each["id"] for each in now.values()}.items() >= known.items()
    assert now["u0"]["external_id"] == "HR-new"


async def test_chain_whose_last_name_is_kept_is_a_conflict_as_a_whole(api: Api) -> None:
    await create_ring(api, 6)
    before = await all_learners(api)

    told = await apply(api, KEYS + "".join(f"u{number + 1},HR-{number}\n" for number in range(5)))

    assert set(told.values()) == {"identity-conflict"}
    assert await all_learners(api) == before


async def test_row_that_is_not_applied_gives_up_no_name(api: Api) -> None:
    await api.create(username="a", external_id="HR-1", expires_on="2026-11-01")
    await api.create(username="b", external_id="HR-2")

    told = await apply(api, "Username,External ID,Active\na,HR-2,\nz,HR-1,Yes\nnew,HR-3,\nz,HR-4,\n")

    # The first learner is refused, because the account has expired, so z is free and a is not.
    assert told == {2: "identity-conflict", 3: "learner-expired", 4: "created", 5: "created"}
    assert await stored(api) == {"a": "HR-1", "b": "HR-2", "new": "HR-3", "z": "HR-4"}


async def test_name_that_two_rows_want_goes_to_the_first(api: Api) -> None:
    await api.import_csv(KEYS + "a,HR-1\nb,HR-2\n")

    told = await apply(api, KEYS + "x,HR-1\n1,\n2,\n3,\nx,HR-2\nx,HR-3\nx,\n")

    assert told == {
        2: "changed",
        3: "created",
        4: "created",
        5: "created",
        6: "identity-conflict",
        7: "identity-conflict",
        8: "duplicate-row",
    }


# The same learner twice


@pytest.mark.parametrize("first", ["a,HR-1,", "a,HR-1,No", "a,HR-1,Maybe", ",HR-1,"])
@pytest.mark.parametrize("again", ["a,,", "A,,", ",HR-1,No", "z,HR-1,", "z,HR-1,Maybe"])
async def test_first_row_of_a_known_learner_counts_whatever_its_outcome(
    api: Api, first: str, again: str
) -> None:
    await api.import_csv(KEYS + "a,HR-1\n")

    told = await apply(api, f"Username,External ID,Active\n{first}\nx,,\ny,,\n{again}\n{again}\n")

    assert [told[5], told[6]] == ["duplicate-row"] * 2
    assert set(await stored(api)) == {"a", "x", "y"}


@pytest.mark.parametrize("first", ["a,HR-1,", "a,HR-1,Maybe", "a,HR-1,Yes"])
@pytest.mark.parametrize("again", ["a,,", "A,,", ",HR-1,", "z,HR-1,", "a,HR-9,"])
@pytest.mark.parametrize("create", [True, False])
async def test_first_row_of_an_unknown_learner_counts_whatever_its_outcome(
    api: Api, first: str, again: str, create: bool
) -> None:
    header = "Username,External ID,Active\n"

    told = await apply(api, f"{header}{first}\nx,,\ny,,\n{again}\n", create=create)

    assert told[5] == "duplicate-row"
    assert await stored(api) == (
        {} if not create else {"x": None, "y": None} | ({} if "Maybe" in first else {"a": "HR-1"})
    )


async def test_duplicate_names_its_first_line_and_claims_no_name(api: Api) -> None:
    told = await apply(api, KEYS + "a,HR-1\nz,HR-1\nz,HR-2\n")

    assert told == {2: "created", 3: "duplicate-row", 4: "created"}
    assert await stored(api) == {"a": "HR-1", "z": "HR-2"}


async def test_very_many_duplicates_end(api: Api) -> None:
    told = await apply(api, KEYS + "".join(f"u{number % 4},HR-{number % 3}\n" for number in range(60)))

    assert sorted(set(told.values())) == ["created", "duplicate-row"]
    assert len(await stored(api)) == 3


# What is not applied, and guesses


@pytest.mark.parametrize("chunk_rows", [5000, 2])
async def test_deactivations_that_are_not_applied_are_a_warning(api: Api, chunk_rows: int) -> None:
    api.service.limit(chunk_rows=chunk_rows)
    await api.import_csv("Username,External ID\na,HR-1\nb,HR-2\nc,HR-3\n")

    operation = await api.import_csv(
        "Username,External ID,Active,Email\nc,,No,\na,HR-9,No,\nb,,No,nobody\nnew,,,\n"
    )

    assert operation["deactivated"] == 1
    (warning,) = operation["warnings"]
    assert warning["code"] == "deactivations-not-applied"
    assert "2" in warning["detail"]
    assert "line 3" in warning["detail"]
    assert (await api.import_csv("Username,Active,Email\nb,No,\nc,,nobody\n"))["warnings"] == []


async def test_guessed_encoding_that_would_change_a_stored_name_must_be_confirmed(api: Api) -> None:
    await api.import_csv("Username,Last Name\na,Müller\nb,Smith\n")
    content = "Username,Last Name\nnew,Köhler\nb,Smith\na,Müller\n".encode("cp1252")
    assert (await api.import_csv(content))["counts"]["created"] == 1
    before = await all_learners(api)

    for dry_run in (True, False):
        wrong = await api.import_csv(
            "Username,Last Name\nb,Smythe\na,M\xfcllner\nnew2,x\n".encode("cp1252"), dry_run=dry_run
        )
        assert (wrong["state"], wrong["problem"]["code"]) == ("refused", "unconfirmed-encoding")
        assert (wrong["problem"]["line"], wrong["problem"]["row_count"]) == (3, 1)
    assert await all_learners(api) == before
    confirmed = await api.import_csv(
        "Username,Last Name\na,M\xfcllner\n".encode("cp1252"), encoding="windows-1252"
    )
    assert confirmed["counts"]["changed"] == 1


async def test_utf_8_with_a_broken_byte_is_not_guessed(api: Api) -> None:
    content = "Username,Last Name\na,Müller\n".encode() + b"b,M\xfcller\n"

    answer = await api.client.post("/imports/csv", content=content, headers={"Content-Type": "text/csv"})

    assert problem(answer, 422, "unreadable-csv")["line"] == 3


# Whatever the rows


HEADER = ("Username", "External ID", "Email", "First Name", "Last Name", "Active", "Expiration Date")
COLUMNS = ("username", "external_id", "email", "first_name", "last_name", "active", "expiration_date")
cells = st.tuples(
    st.sampled_from(["", "a@example.org", "b@example.org"]),
    st.sampled_from(["", "Ada", "Zoë \"'"]),
    st.sampled_from(["", "Okafor", "Ng"]),
    st.sampled_from(["", "Yes", "No"]),
    st.sampled_from(["", "never", "2026-11-01", "2026-11-02", "2099-01-01"]),
)
FACTS = ("username", "external_id", "email", "first_name", "last_name", "account", "version")


async def read_learners(api: Api) -> dict[str, Learner]:
    async with api.service.database.read() as connection:
        chosen = table.c.id.in_([each["id"] for each in (await all_learners(api)).values()])
        found = await list_chosen(connection, api.organization.id, _select_ids(chosen))
    return {each.username: each for each in found}


def _select_ids(condition: Any) -> Any:
    return table.select().with_only_columns(table.c.id).where(condition)


@limit_examples(40)
@given(
    known=st.lists(cells, max_size=6),
    rows=st.lists(cells, min_size=1, max_size=9),
    order=st.permutations(range(9)),
)
async def test_file_comes_to_the_same_as_its_rows_one_by_one(
    api: Api, known: Any, rows: Any, order: list[int]
) -> None:
    api = await another(api)
    quoted = [[*row[:1], f'"{row[1].replace(chr(34), chr(34) * 2)}"', *row[2:]] for row in (*known, *rows)]
    before_rows = [
        f"u{number},HR-{number}," + ",".join(row) for number, row in enumerate(quoted[: len(known)])
    ]
    head = ",".join(HEADER) + "\n"
    await api.import_csv(head + "".join(f"{row}\n" for row in before_rows))
    api.service.clock.advance(minutes=1)
    names = [number for number in order if number < len(rows)]
    text = [
        f"u{name},HR-{name}," + ",".join(row) for name, row in zip(names, quoted[len(known) :], strict=True)
    ]
    learners = await read_learners(api)
    cause = Cause({}, api.service.clock.now(), api.organization.today(api.service.clock.now()))
    parse = compile_parser(HEADER, dict(zip(COLUMNS, range(7), strict=True)), DateFormat.ISO)
    expected, outcomes = dict(learners), []
    for name, row in zip(names, rows, strict=True):
        wish: Any = parse([f"u{name}", f"HR-{name}", *row])
        learner = learners.get(f"u{name}")
        decision: Any = (
            decide_creation("new", wish, cause) if learner is None else decide_change(learner, wish, cause)
        )
        if hasattr(decision, "after"):
            expected[f"u{name}"] = decision.after
            outcomes.append("created" if learner is None else "changed")
        else:
            outcomes.append("unchanged" if isinstance(decision, Unchanged) else "refused")

    told = await apply(api, head + "".join(f"{row}\n" for row in text))

    api.service.clock.instant = NOON
    now = await read_learners(api)
    await api.client.aclose()
    assert list(told.values()) == [each if each != "refused" else "learner-expired" for each in outcomes]
    assert {name: [getattr(each, fact) for fact in FACTS] for name, each in now.items()} == {
        name: [getattr(each, fact) for fact in FACTS] for name, each in expected.items()
    }


names = st.sampled_from(["a", "b", "c", "d", "e", "A", ""])
external_ids = st.sampled_from(["HR-1", "HR-2", "HR-3", "HR-4", "HR-5", ""])
actives = st.sampled_from(["", "", "", "No", "Yes", "Maybe"])


@limit_examples(60)
@given(
    known=st.lists(st.sampled_from(["", "-", "expired"]), max_size=4),
    rows=st.lists(st.tuples(names, external_ids, actives), min_size=1, max_size=10),
    rekey=st.booleans(),
    create=st.booleans(),
)
async def test_names_have_one_holder_whatever_the_rows(
    api: Api, known: Any, rows: Any, rekey: bool, create: bool
) -> None:
    api = await another(api)
    head = "Username,External ID,Active,Expiration Date\n"
    await api.import_csv(
        head
        + "".join(
            f"{name},{f'HR-{number + 1}' if kind else ''},,{'2026-11-01' if kind == 'expired' else ''}\n"
            for number, (name, kind) in enumerate(zip("abcd", known, strict=False))
        )
    )
    before = await all_learners(api)

    told = await apply(
        api,
        head + "".join(",".join(row) + ",\n" for row in rows if row[:2] != ("", "")),
        rekey=rekey,
        create=create,
    )

    now = await all_learners(api)
    await api.client.aclose()
    by_line = dict(zip(told, (row for row in rows if row[:2] != ("", "")), strict=True))
    holders: dict[str, list[str]] = defaultdict(list)
    for each in now.values():
        if each["external_id"]:
            holders[each["external_id"]].append(each["id"])
    assert all(len(each) == 1 for each in holders.values())
    assert {each["id"] for each in before.values()} <= {each["id"] for each in now.values()}
    # What is applied is there afterwards.
    for line, (name, external_id, _) in by_line.items():
        if told[line] in ("created", "changed", "unchanged"):
            if name:
                (holder,) = [each for each in now.values() if each["username"].lower() == name.lower()]
                assert external_id in ("", holder["external_id"])
            else:
                assert external_id in holders
