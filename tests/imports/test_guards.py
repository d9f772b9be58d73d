"""Imports that are judged before they change anything: missing learners, limits, feeds that were cut off."""

import csv
import io
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.operations import repository
from app.operations.operation import Operation, Phase
from app.operations.runner import Runner
from app.organizations.api_keys import Scope
from tests.support.answers import pointers, problem
from tests.support.examples import limit_examples
from tests.support.service import NOON, Api, Service
from tests.support.stored import all_learners, another, count_stages, ended, follow, stored_state

pytestmark = pytest.mark.anyio

CSV = {"Content-Type": "text/csv"}
NOTHING_DONE = {"created": 0, "changed": 0, "unchanged": 0, "refused": 0, "invalid": 0, "not_found": 0}
ALL = {"missing": "deactivate", "max_deactivations": "100%"}


@pytest.fixture(params=[5000, 3], ids=["at once", "in chunks"])
def chunk_sizes(request: pytest.FixtureRequest, service: Service) -> None:
    """A few learners, in one transaction and as a large operation."""
    service.limit(chunk_rows=request.param)


@pytest.fixture
def small_chunks(service: Service) -> None:
    service.limit(chunk_rows=3)


def counts(**given: int) -> dict[str, int]:
    return NOTHING_DONE | given


async def post(api: Api, content: str | bytes, headers: Any = None, **params: Any) -> httpx.Response:
    return await api.client.post(
        "/imports/csv", content=content, params=params, headers=CSV | (headers or {})
    )


async def create_learners(api: Api, number: int, prefix: str = "u") -> None:
    await api.import_csv("Username\n" + "".join(f"{prefix}{n}\n" for n in range(number)))


async def deactivated(api: Api) -> set[str]:
    learners = (await all_learners(api)).values()
    return {each["username"] for each in learners if each["deactivated_at"] is not None}


async def changes(api: Api) -> tuple[Any, Any]:
    """What was stored of learners and what was recorded."""
    state = await stored_state(api.service.database, api.organization.id)
    return state["learners"], state["events"]


async def deactivate_by_hand(api: Api, username: str) -> None:
    """Deactivate a learner with a key of another name than that of the imports."""
    learner = (await all_learners(api))[username]
    async with await api.client_with(Scope.LEARNERS_WRITE, name="console") as client:
        answer = await client.post(f"/learners/{learner['id']}/deactivate")
    assert answer.status_code == 200


def roster(*names: str, active: str = "") -> str:
    return "Username,Active\n" + "".join(f"{name},{active}\n" for name in names)


# Who is missing


@pytest.mark.usefixtures("chunk_sizes")
async def test_missing_learner_is_deactivated_with_one_event(api: Api) -> None:
    await create_learners(api, 10)
    api.service.clock.advance(hours=1)

    operation = await api.import_csv(roster("u0", "U1", "new", "u2"), **ALL, reason="nightly feed")

    assert (operation["state"], operation["problem"]) == ("succeeded", None)
    assert operation["counts"] == counts(created=1, changed=7, unchanged=3)
    assert operation["progress"] == {"done": 11, "total": 11}
    assert await deactivated(api) == {f"u{n}" for n in range(3, 10)}
    learners = await all_learners(api)
    missing = [each for each in await api.outcomes(operation) if each["line"] is None]
    assert [(each["outcome"], each["problems"]) for each in missing] == [("changed", [])] * 7
    assert {each["username"]: each["learner_id"] for each in missing} == {
        f"u{n}": learners[f"u{n}"]["id"] for n in range(3, 10)
    }
    for n in range(3, 10):
        event, _ = await api.events(learners[f"u{n}"])
        assert (event["type"], event["operation_id"], event["reason"]) == (
            "learner.deactivated",
            operation["id"],
            "nightly feed",
        )
        assert learners[f"u{n}"]["version"] == 2
        assert learners[f"u{n}"]["sessions_valid_from"] == "2026-11-02T13:00:00Z"


@pytest.mark.usefixtures("chunk_sizes")
async def test_missing_learners_are_kept_unless_the_import_says_otherwise(api: Api) -> None:
    await create_learners(api, 5)

    for params in ({}, {"missing": "keep"}, {"missing": "keep", "max_deactivations": "0"}):
        operation = await api.import_csv(roster("u0", "u1", "u2", "u3"), **params)
        assert operation["counts"] == counts(unchanged=4)
    assert await deactivated(api) == set()


@pytest.mark.usefixtures("chunk_sizes")
async def test_learner_named_by_an_invalid_row_is_not_missing(api: Api) -> None:
    for name, external_id, expires_on in (
        ("invalid", None, None),
        ("invalid-name", "HR-1", None),
        ("invalid-id", "HR-2", None),
        ("expired", None, "2026-11-01"),
        ("by-hand", None, None),
        ("twice", "HR-3", None),
        ("conflict-a", "HR-a", None),
        ("conflict-b", "HR-b", None),
        ("also-twice", "HR-4", None),
        ("reported", None, None),
        ("renamed", "HR-5", None),
        ("missing", None, None),
        ("missing-and-expired", None, "2026-11-01"),
    ):
        await api.create(username=name, external_id=external_id, expires_on=expires_on)
    await deactivate_by_hand(api, "by-hand")
    text = (
        "Username,External ID,Active,Email,Problem\n"
        "invalid,,Maybe,,\n"
        "bad\u200bname,HR-1,,,\n"
        "invalid-id,HR\x07,,,\n"
        "expired,,Yes,,\n"
        "by-hand,,Yes,,\n"
        "twice,,,,\n"
        "twice,,,,\n"
        "conflict-a,HR-b,,,\n"
        "conflict-a,HR-b,,,\n"
        "also-twice,HR-3,,,\n"
        "reported,,,,duplicate-row: once\n"
        "new-name,HR-5,,,\n"
    )

    dry = await api.import_csv(text, **ALL, protect_manual=True, dry_run=True)
    real = await api.import_csv(text, **ALL, protect_manual=True)

    assert real["state"] == dry["state"] == "succeeded", real["problem"]
    assert real["counts"] == dry["counts"] == counts(changed=3, unchanged=1, refused=2, invalid=8)
    assert real["progress"] == {"done": 14, "total": 14}
    assert await deactivated(api) == {"by-hand", "missing", "missing-and-expired"}
    now = await all_learners(api)
    assert now["missing-and-expired"]["status"] == "expired"
    assert now["missing-and-expired"]["restores_to"] == "deactivated"
    assert "new-name" in now


@pytest.mark.usefixtures("chunk_sizes")
async def test_already_deactivated_learner_is_unchanged(api: Api) -> None:
    await create_learners(api, 8)
    learners = await all_learners(api)
    for n in (1, 2):
        await api.client.post(f"/learners/{learners[f'u{n}']['id']}/deactivate")

    operation = await api.import_csv(roster("u0", "u7", "u6", "u5"), **ALL)

    assert operation["counts"] == counts(unchanged=4, changed=2)
    assert {each["username"] for each in await api.outcomes(operation, outcome="changed")} == {"u3", "u4"}
    assert (await api.get(learners["u1"]))["version"] == 2
    assert (await api.import_csv(roster("u0", "u7", "u6", "u5"), **ALL))["counts"] == counts(unchanged=4)


@pytest.mark.usefixtures("chunk_sizes")
async def test_learners_of_other_organizations_are_not_missing(api: Api) -> None:
    other = await another(api)
    await create_learners(other, 5)
    await create_learners(api, 5)

    await api.import_csv(roster("u0", "new1", "new2", "new3"), **ALL)

    assert await deactivated(api) == {"u1", "u2", "u3", "u4"}
    assert await deactivated(other) == set()
    await other.client.aclose()


@pytest.mark.usefixtures("chunk_sizes")
async def test_create_false_and_missing_go_together(api: Api) -> None:
    await create_learners(api, 4)

    operation = await api.import_csv(roster("u0", "nobody", "u1", "noone"), **ALL, create=False)

    assert operation["counts"] == counts(unchanged=2, not_found=2, changed=2)
    assert await deactivated(api) == {"u2", "u3"}


@pytest.mark.usefixtures("chunk_sizes")
async def test_feed_reactivates_learners_that_it_missed_but_not_those_deactivated_by_hand(api: Api) -> None:
    await create_learners(api, 6)
    await deactivate_by_hand(api, "u5")
    await api.import_csv(roster("u0", "u1", "u2", "u3", active="Yes"), **ALL, protect_manual=True)
    assert await deactivated(api) == {"u4", "u5"}

    operation = await api.import_csv(
        roster(*(f"u{n}" for n in range(6)), active="Yes"), **ALL, protect_manual=True
    )

    assert operation["counts"] == counts(changed=1, unchanged=4, refused=1)
    assert await deactivated(api) == {"u5"}


@pytest.mark.usefixtures("chunk_sizes")
async def test_the_report_names_the_missing_and_imports_back_without_a_change(api: Api) -> None:
    await api.import_csv("Username,External ID\na,HR-1\nb,HR-2\nc,HR-3\nd,HR-4\ne,\n")
    for header, missing in (
        ("First Name,Username", [["", "e"]]),
        ("External ID", [["HR-1"], ["HR-2"], ["HR-3"]]),
    ):
        rows = "".join(f",{name}\n" for name in "abcd") if "Username" in header else "HR-4\n"
        operation = await api.import_csv(f"{header}\n{rows}", **ALL, dry_run=True)
        answer = await api.client.get(
            f"/operations/{operation['id']}/outcomes", headers={"Accept": "text/csv"}
        )
        reported = list(csv.reader(io.StringIO(answer.text)))
        assert reported[0] == [*header.split(","), "Line", "Outcome", "Problem"]
        told = [row[: len(missing[0])] for row in reported[1:] if row[-3] == ""]
        assert sorted(row for row in told if any(row)) == missing
        if "Username" in header:
            back = await api.import_csv(answer.content, **ALL)
            assert back["counts"] == counts(unchanged=5)


# The limit


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize(
    ("limit", "leavers", "allowed"),
    [
        ("3", 3, None),
        ("3", 4, 3),
        ("0", 0, None),
        ("0", 1, 0),
        ("20%", 2, None),  # of 12, rounded down
        ("20%", 3, 2),
        ("25%", 3, None),
        ("24.99%", 3, 2),
        ("100%", 12, None),
    ],
)
async def test_more_deactivations_than_the_limit_allows_are_refused_as_a_whole(
    api: Api, limit: str, leavers: int, allowed: int | None
) -> None:
    await create_learners(api, 14)
    await api.import_csv(roster("u12", "u13", active="No"))
    before = await changes(api)
    text = roster(*(f"u{n}" for n in range(leavers)), "u12", active="No") + "u13,\nnew,No\n"

    dry = await api.import_csv(text, max_deactivations=limit, dry_run=True)
    assert await changes(api) == before
    real = await api.import_csv(text, max_deactivations=limit)

    expected = counts(changed=leavers, unchanged=2, created=1)
    for operation in (dry, real):
        assert operation["counts"] == expected
        assert operation["progress"] == {"done": leavers + 3, "total": leavers + 3}
        assert len(await api.outcomes(operation)) == leavers + 3
    if allowed is None:
        assert (real["state"], dry["state"], real["problem"]) == ("succeeded", "succeeded", None)
        assert len(await deactivated(api)) == leavers + 3
        return
    assert (real["state"], dry["state"]) == ("refused", "refused")
    assert real["problem"] == dry["problem"]
    assert real["problem"]["code"] == "too-many-deactivations"
    assert real["problem"]["deactivation_count"] == leavers
    assert real["problem"]["allowed_count"] == allowed
    assert real["problem"]["max_deactivations"] == limit
    assert f"max_deactivations={leavers}." in real["problem"]["detail"]
    assert await changes(api) == before
    outcomes = await api.outcomes(real)
    assert [each["outcome"] for each in outcomes if each["username"] == "new"] == ["created"]
    assert all(each["learner_id"] is None for each in outcomes if each["username"] == "new")
    assert (await api.import_csv(text, max_deactivations=str(leavers)))["state"] == "succeeded"


@pytest.mark.usefixtures("chunk_sizes")
async def test_rows_and_missing_learners_count_together(api: Api) -> None:
    await create_learners(api, 10)
    text = roster("u0", "u1", active="No") + "u2,\nu3,\nu4,\nu5,\nu6,\n"
    before = await changes(api)

    refused = await api.import_csv(text, missing="deactivate", max_deactivations="4")

    assert (refused["state"], refused["counts"]) == ("refused", counts(changed=5, unchanged=5))
    assert (refused["problem"]["deactivation_count"], refused["problem"]["allowed_count"]) == (5, 4)
    missing = [each["username"] for each in await api.outcomes(refused) if each["line"] is None]
    assert sorted(missing) == ["u7", "u8", "u9"]
    assert await changes(api) == before
    assert (refused["started_at"], refused["finished_at"]) == ("2026-11-02T12:00:00Z",) * 2
    allowed = await api.import_csv(text, missing="deactivate", max_deactivations="5")
    assert allowed["counts"] == refused["counts"]
    assert await deactivated(api) == {"u0", "u1", "u7", "u8", "u9"}


@pytest.mark.usefixtures("chunk_sizes")
async def test_organization_limit_applies_without_a_limit_of_the_import(api: Api) -> None:
    await create_learners(api, 10)
    nine = [f"u{n}" for n in range(9)]

    assert (await api.import_csv(roster(*nine[:7]), missing="deactivate"))["state"] == "refused"
    await api.client.patch("/organization", json={"max_deactivations": "0"})
    refused = await api.import_csv(roster(*nine), missing="deactivate")
    assert (refused["state"], refused["problem"]["max_deactivations"]) == ("refused", "0")
    await api.client.patch("/organization", json={"max_deactivations": "10%"})
    assert (await api.import_csv(roster(*nine), missing="deactivate"))["state"] == "succeeded"
    assert await deactivated(api) == {"u9"}
    # Without missing=deactivate there is no limit but the one that is sent.
    assert (await api.import_csv(roster(*nine, active="No")))["state"] == "succeeded"


async def test_default_limit_is_a_fifth_of_the_learners(api: Api) -> None:
    await create_learners(api, 10)

    assert (await api.import_csv(roster(*(f"u{n}" for n in range(7))), missing="deactivate"))["problem"][
        "allowed_count"
    ] == 2
    operation = await api.import_csv(roster(*(f"u{n}" for n in range(8))), missing="deactivate")
    assert operation["counts"] == counts(unchanged=8, changed=2)


async def test_wrong_guards_are_invalid_requests(api: Api) -> None:
    for params, expected in (
        ({"missing": "remove"}, ["?missing"]),
        ({"max_deactivations": "many"}, ["?max_deactivations"]),
        ({"max_deactivations": ""}, ["?max_deactivations"]),
        ({"max_deactivations": "101%"}, ["?max_deactivations"]),
        ({"max_deactivations": "-1"}, ["?max_deactivations"]),
    ):
        refusal = problem(await post(api, roster("a"), **params), 422, "invalid-request")
        assert pointers(refusal) == expected, params


@pytest.mark.usefixtures("chunk_sizes")
async def test_a_refused_import_is_answered_again_with_the_same_key(api: Api) -> None:
    await create_learners(api, 6)
    text = roster("u0", "u1", "u2", "u3")
    key = {"Idempotency-Key": "nightly"}

    first = await post(api, text, key, missing="deactivate", max_deactivations="1")
    await create_learners(api, 3, prefix="v")
    again = await post(api, text, key, missing="deactivate", max_deactivations="1")

    assert (first.status_code, first.json()["state"]) == (200, "refused")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await deactivated(api) == set()
    listed = await follow(api.client, "/operations", state="refused")
    assert [each["id"] for each in listed] == [first.json()["id"]]


# Feeds that are not whole


@pytest.mark.parametrize("text", ["Username,Active\n", "Username\n\n \n,\n", "Username"])
async def test_feed_without_rows_deactivates_no_missing_learner(api: Api, text: str) -> None:
    await create_learners(api, 3)

    for dry_run in (False, True):
        refusal = problem(await post(api, text, **ALL, dry_run=dry_run), 422, "unreadable-csv")
        assert "no rows" in refusal["detail"]
    problem(await post(api, "", **ALL), 422, "unreadable-csv")
    assert await deactivated(api) == set()
    assert await count_stages(api.service.database) == 0
    assert (await api.import_csv(text))["state"] == "succeeded"


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize(
    ("end", "encoding", "line"),
    [
        ("u4,N", "utf-8", None),
        ("u4,No", "utf-16", None),
        ("u4,No ", "cp1252", None),
        ('u4,"No\n', "utf-8", 6),
        ('"u4', "utf-8", 6),
    ],
)
async def test_feed_that_was_cut_off_deactivates_no_missing_learner(
    api: Api, end: str, encoding: str, line: int | None
) -> None:
    await create_learners(api, 6)
    content = (roster("u0", "u1", "u2", "u3") + end).encode(encoding)

    refusal = problem(await post(api, content, **ALL), 422, "incomplete-feed")

    assert refusal["line"] in (line, None)  # that a line break is missing is seen before all rows are read
    assert refusal["detail"].endswith(".")
    assert await deactivated(api) == set()
    assert await count_stages(api.service.database) == 0
    assert len(await follow(api.client, "/operations")) == 1
    if line is None:
        assert (await api.import_csv(content))["state"] == "succeeded"
    else:
        problem(await post(api, content), 422, "unreadable-csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
async def test_complete_feed_is_recognized_in_every_encoding(api: Api, encoding: str, line_end: str) -> None:
    text = f"Username,First Name{line_end}a,Zoë{line_end}"

    operation = await api.import_csv(text.encode(encoding), missing="deactivate")

    assert operation["counts"] == counts(created=1)


@pytest.mark.usefixtures("chunk_sizes")
@pytest.mark.parametrize(
    "row",
    [
        ",,x@example.org",
        ",,nobody",
        "u5",
        "u5,,,more",
        "u\u200b5,,",
        "u\u200b5,HR\x07,",
        ",HR\x07,",
        "u5,HR\x07,",
    ],
)
async def test_row_without_a_readable_key_stops_a_feed(api: Api, row: str) -> None:
    await create_learners(api, 5)
    before = await changes(api)
    text = f"Username,External ID,Email\nu0,,\n{row}\nu1,,\n{row}\nnew,,\n"

    dry = await api.import_csv(text, **ALL, dry_run=True)
    real = await api.import_csv(text, **ALL)

    assert (real["state"], dry["state"]) == ("refused", "refused")
    assert real["problem"] == dry["problem"]
    assert real["problem"]["code"] == "incomplete-feed"
    told_twice = row.startswith("u5,HR")  # the second row names the same learner as the first
    assert (real["problem"]["line"], real["problem"]["row_count"]) == (3, 1 if told_twice else 2)
    assert real["counts"] == counts(unchanged=2, invalid=2, created=1)
    assert real["progress"] == {"done": 5, "total": 5}
    outcomes = await api.outcomes(real, outcome="invalid")
    assert [each["line"] for each in outcomes] == [3, 5]
    assert await changes(api) == before
    assert (await api.import_csv(text))["counts"] == real["counts"]


# The plan


@pytest.mark.usefixtures("small_chunks")
async def test_progress_stays_0_until_the_plan_is_judged_and_ends_complete(api: Api) -> None:
    await create_learners(api, 10)
    seen = []
    async with api.service.runner.turn(api.organization.id):
        answer = await post(api, roster("u0", "u1", "new", "u2"), {"Prefer": "respond-async"}, **ALL)
        operation = await stored(api, answer.json())
        runner = own_runner(api)
        while not operation.is_finished:
            operation = await runner.run_next_step(operation)
            document = (await api.client.get(f"/operations/{operation.id}")).json()
            told = await api.outcomes(document)
            report = await api.client.get(
                f"/operations/{operation.id}/outcomes", headers={"Accept": "text/csv"}
            )
            assert len(told) == document["progress"]["done"] == sum(document["counts"].values())
            assert len(report.text.splitlines()) == 1 + len(told)
            seen.append((document["state"], document["progress"]["done"], document["progress"]["total"]))

    assert seen == [
        ("running", 0, 4),
        ("running", 0, 4),
        ("running", 0, 4),  # settled
        ("running", 0, 7),
        ("running", 0, 10),
        ("running", 0, 11),
        ("running", 0, 11),  # all missing learners are found
        ("running", 0, 11),  # judged
        ("running", 0, 11),  # no names move
        ("running", 3, 11),
        ("running", 4, 11),
        ("running", 7, 11),
        ("running", 10, 11),
        ("succeeded", 11, 11),
    ]


async def stored(api: Api, document: dict[str, Any]) -> Operation:
    async with api.service.database.read() as connection:
        operation = await repository.find_operation(connection, api.organization.id, document["id"])
    assert operation is not None
    return operation


def own_runner(api: Api) -> Runner:
    shared = api.service.runner
    return Runner(shared.database, shared.clock, shared.handlers, shared.limits)


@pytest.mark.usefixtures("small_chunks")
async def test_learners_changed_after_the_plan_are_decided_as_they_then_are(api: Api) -> None:
    await create_learners(api, 12)
    async with api.service.runner.turn(api.organization.id):
        answer = await post(api, roster("u0", "u1", "u2", "file-a", "file-b"), {"Prefer": "wait=0"}, **ALL)
        await api.create(username="before-the-plan")
        operation = await stored(api, answer.json())
        runner = own_runner(api)
        while operation.phase < Phase.MOVE:
            operation = await runner.run_next_step(operation)
        learners = await all_learners(api)
        api.service.clock.advance(seconds=1)
        await api.create(username="between")
        await api.client.post(f"/learners/{learners['u3']['id']}/deactivate")
        for old, new in (("u4", "file-a"), ("u5", "other-name"), ("u0", "not-in-the-file")):
            await api.client.patch(f"/learners/{learners[old]['id']}", json={"username": new})
        while not operation.is_finished:
            operation = await runner.run_next_step(operation)

    document = await ended(api, answer.json())
    # The row of u0 now finds no learner and creates one. u4 has a row now. u5 may have one, as a renamed learner.
    # u3 was deactivated by hand.
    assert document["counts"] == counts(created=2, unchanged=6, changed=6)
    assert document["progress"] == {"done": 14, "total": 14}
    assert await deactivated(api) == {"u3", *(f"u{n}" for n in range(6, 12))}
    by_hand, _ = await api.events(learners["u3"])
    assert by_hand["operation_id"] is None
    now = await all_learners(api)
    assert now["other-name"]["status"] == "activated"
    for name in ("before-the-plan", "between", "not-in-the-file", "file-a"):
        assert now[name]["status"] == "activated"


@pytest.mark.usefixtures("small_chunks")
async def test_short_file_with_many_missing_learners_runs_in_the_background(api: Api) -> None:
    await create_learners(api, 20)
    async with api.service.runner.turn(api.organization.id):
        answer = await post(api, roster("u0"), {"Prefer": "respond-async"}, **ALL)
        pending = answer.json()
        assert (answer.status_code, pending["state"]) == (202, "pending")
        assert pending["progress"] == {"done": 0, "total": 1}
        assert await deactivated(api) == set()

    done = await ended(api, pending)
    assert (done["counts"], done["progress"]) == (
        counts(unchanged=1, changed=19),
        {"done": 20, "total": 20},
    )
    assert len(await deactivated(api)) == 19
    assert await count_stages(api.service.database) == 0


async def test_one_chunk_is_judged_and_done_with_the_answer(api: Api) -> None:
    await create_learners(api, 20)

    answer = await post(api, roster("u0"), {"Prefer": "respond-async"}, **ALL)

    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert answer.json()["finished_at"] == NOON.isoformat().replace("+00:00", "Z")


async def test_more_missing_learners_than_one_chunk_holds(api: Api) -> None:
    api.service.limit(chunk_rows=100)
    await api.import_csv("Username\n" + "".join(f"u{n}\n" for n in range(206)))

    dry = await api.import_csv(roster("u7", "u101", "new"), **ALL, dry_run=True)
    real = await api.import_csv(roster("u7", "u101", "new"), **ALL)

    assert dry["counts"] == real["counts"] == counts(created=1, unchanged=2, changed=204)
    assert real["progress"] == {"done": 207, "total": 207}
    state = await stored_state(api.service.database, api.organization.id)
    chunks = [
        (row["first_item"], row["items"]) for row in state["chunks"] if row["operation_id"] == real["id"]
    ]
    assert chunks == [(0, 3), (3, 100), (103, 100), (203, 4)]
    assert len(state["events"]) == 206 + 1 + 204


# Whatever the roster

USERNAMES = ["a", "b", "c", "d", "e", "f"]
known = st.tuples(
    st.sampled_from(["", "", "-"]), st.sampled_from(["", "No"]), st.sampled_from(["", "", "2020-01-01"])
)
rows = st.tuples(
    st.sampled_from([*USERNAMES, "A", "x", "y", "", "bad\u200b"]),
    st.sampled_from(["", "", "", "HR-a", "HR-b", "HR-c", "HR-x", "bad\x07"]),
    st.sampled_from(["", "Yes", "No", "No", "Maybe"]),
    st.sampled_from(["", "", "2020-01-01", "2099-01-01"]),
).map(",".join)
WITHOUT_KEY = {"missing-key", "invalid-username", "invalid-external-id"}


@limit_examples(40)
@given(
    learners=st.lists(known, min_size=1, max_size=6),
    roster=st.lists(rows, min_size=1, max_size=9),
    chunk=st.sampled_from([5000, 2]),
    limit=st.sampled_from(["0", "1", "2", "50%", "100%"]),
    missing=st.sampled_from(["keep", "deactivate", "deactivate"]),
    create=st.booleans(),
)
async def test_dry_run_predicts_the_real_import(
    api: Api, learners: Any, roster: list[str], chunk: int, limit: str, missing: Any, create: Any
) -> None:
    api = await another(api)
    await api.import_csv(
        "Username,External ID,Active,Expiration Date\n"
        + "".join(
            f"{name},{external_id and f'HR-{name}'},{active},{day}\n"
            for name, (external_id, active, day) in zip(USERNAMES, learners, strict=False)
        )
    )
    text = "Username,External ID,Active,Expiration Date\na,,,\n" + "".join(f"{row}\n" for row in roster)
    options = {"missing": missing, "max_deactivations": limit, "create": create}
    before, stored_before = await all_learners(api), await changes(api)
    with api.service.limited(chunk_rows=chunk):
        dry = await api.import_csv(text, **options, dry_run=True)
        assert await changes(api) == stored_before
        real = await api.import_csv(text, **options)
    told = [
        [
            (
                each["line"] or each["username"],
                each["outcome"],
                each["problems"],
                each["changes"].keys(),
            )
            for each in await api.outcomes(operation)
        ]
        for operation in (dry, real)
    ]
    after = {each["id"]: each for each in (await all_learners(api)).values()}
    outcomes = await api.outcomes(real)
    await api.client.aclose()

    for name in ("state", "problem", "counts", "progress"):
        assert dry[name] == real[name]
    assert told[0] == told[1]
    assert sum(real["counts"].values()) == real["progress"]["done"] == real["progress"]["total"]
    cells = [row.split(",") for row in ["a,,,", *roster]]
    names = {row[0].lower() for row in cells}, {row[1] for row in cells}
    wanted = {
        each["id"]
        for each in before.values()
        if each["deactivated_at"] is None
        and each["username"] not in names[0]
        and (each["external_id"] or "none") not in names[1]
    }
    codes = [one["code"] for each in outcomes if not each["learner_id"] for one in each["problems"]]
    is_incomplete = missing == "deactivate" and not WITHOUT_KEY.isdisjoint(codes)
    if is_incomplete or missing == "keep":
        wanted = set()
    assert {each["learner_id"] for each in outcomes if each["line"] is None} == wanted
    if real["state"] == "refused":
        assert (real["problem"]["code"] == "incomplete-feed") == is_incomplete
        assert await changes(api) == stored_before
        return
    assert not is_incomplete
    lost = {
        each["id"]
        for each in before.values()
        if each["deactivated_at"] is None and after[each["id"]]["deactivated_at"] is not None
    }
    assert wanted <= lost
    had_access = sum(each["deactivated_at"] is None for each in before.values())
    allowed = had_access * int(limit[:-1]) // 100 if limit.endswith("%") else int(limit)
    assert len(lost) <= allowed


# Who loses access


async def whom_it_deactivated(api: Api, operation: dict[str, Any]) -> set[str]:
    """The usernames of those who lost, or would lose, access by it; the operation counts as many."""
    found = await api.outcomes(operation, changes="deactivated")
    assert len(found) == operation["deactivated"]
    lost = [
        each
        for each in await api.outcomes(operation)
        if each["outcome"] == "changed" and each["changes"].get("deactivated_at", [""])[0] is None
    ]
    assert found == lost
    return {each["username"] for each in found}


@pytest.mark.usefixtures("chunk_sizes")
async def test_import_outcomes_show_who_lost_access(api: Api) -> None:
    await api.import_csv("Username,Active\nada,\nben,\ncleo,No\ndina,\nedda,\n")
    roster = (
        "Username,Active,Email\nada,No,\nben,Yes,b@example.org\ncleo,No,c@example.org\nnew,No,\nodd,Maybe,\n"
    )

    dry = await api.import_csv(roster, dry_run=True, **ALL)
    refused = await api.import_csv(roster, missing="deactivate", max_deactivations="1")
    assert refused["state"] == "refused"
    done = await api.import_csv(roster, **ALL)

    # Who was deactivated already, or is created so, does not lose what they had.
    for operation in (dry, refused, done):
        assert await whom_it_deactivated(api, operation) == {"ada", "dina", "edda"}
    again = await api.import_csv(roster, **ALL)
    assert await whom_it_deactivated(api, again) == set()
    kept = await api.import_csv("Username,Active\nben,No\n")
    assert await whom_it_deactivated(api, kept) == {"ben"}


async def test_outcomes_of_bulk_actions_and_reverts_show_who_lost_access(api: Api) -> None:
    await api.import_csv("Username,Active\nada,\nben,\ncleo,No\n")
    body: dict[str, Any] = {"selection": {"filter": {}}}
    post = api.client.post

    off = (await post("/learners/bulk-actions", json={"action": "deactivate", **body})).json()
    back = (await post(f"/operations/{off['id']}/revert")).json()
    off_again = (await post(f"/operations/{back['id']}/revert", json={"dry_run": True})).json()
    on = (await post("/learners/bulk-actions", json={"action": "activate", **body})).json()

    assert await whom_it_deactivated(api, off) == {"ada", "ben"}
    assert await whom_it_deactivated(api, back) == set()
    assert await whom_it_deactivated(api, off_again) == {"ada", "ben"}
    assert on["counts"]["changed"] == 1
    assert await whom_it_deactivated(api, on) == set()


async def test_report_can_be_limited_to_learners_who_lose_access(api: Api) -> None:
    await api.import_csv("Username,Active\nada,\nben,\n")
    operation = await api.import_csv("Username,Active\nada,No\nben,Yes\n")
    answer = await api.client.get(
        f"/operations/{operation['id']}/outcomes",
        params={"changes": "deactivated"},
        headers={"Accept": "text/csv"},
    )
    assert answer.text.splitlines()[1:] == ["ada,No,2,changed,"]
