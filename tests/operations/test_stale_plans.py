"""Plans that learners have outrun: what changed since is decided again when it is applied."""

import asyncio
import random
from collections.abc import Iterable
from typing import Any

import pytest

from app.operations.operation import Operation, Phase, State
from app.platform.database import Database
from tests.support.runners import CHUNK, finish, make_runner, own_turn, run_until, state_of, stored
from tests.support.service import Api
from tests.support.stored import all_learners, all_outcomes, ended

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("chunk_sizes")]

BEFORE_APPLYING = [Phase.SETTLE, Phase.JUDGE, Phase.MOVE, Phase.APPLY]


async def roster(api: Api, lines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Learners as they are before the import, by username."""
    with api.service.limited(chunk_rows=5000):
        await api.import_csv(
            "Username,External ID,Active,First Name\n" + "".join(f"{line}\n" for line in lines)
        )
    return await all_learners(api)


async def submit(api: Api, lines: Iterable[str], **params: Any) -> Operation:
    """An import of these lines and of so many others that it takes three chunks; not begun."""
    text = "External ID,Username,Active,First Name\n" + "".join(f"{line}\n" for line in lines)
    answer = await api.client.post(
        "/imports/csv",
        content=text,
        params=params,
        headers={"Content-Type": "text/csv", "Prefer": "respond-async"},
    )
    assert answer.status_code == 202, answer.text
    return await stored(api, answer.json()["id"])


def padding(number: int = CHUNK) -> list[str]:
    """Lines that fill a chunk and have nothing to do with the others."""
    return [f",padding{each},,Pad" for each in range(number)]


async def patch(api: Api, learner: dict[str, Any], **members: Any) -> None:
    answer = await api.client.patch(f"/learners/{learner['id']}", json=members)
    assert answer.status_code == 200, answer.text


async def act(api: Api, learner: dict[str, Any], action: str) -> None:
    answer = await api.client.post(f"/learners/{learner['id']}/{action}")
    assert answer.status_code == 200, answer.text


async def outcomes_by_line(api: Api, operation: Operation) -> dict[int, dict[str, Any]]:
    document = await ended(api, {"id": operation.id})
    assert document["state"] == "succeeded", document
    found = await all_outcomes(api, document)
    assert len(found) == sum(document["counts"].values()) == document["progress"]["total"]
    return {each["line"]: each for each in found}


async def assert_history_adds_up(api: Api) -> None:
    """Every learner has an event for each version, and each event begins where the one before it ended."""
    state = await state_of(api)
    versions = {row["id"]: row["version"] for row in state["learners"]}
    facts: dict[str, dict[str, Any]] = {}
    for event in sorted(state["events"], key=lambda each: (each["learner_id"], each["version"])):
        known = facts.setdefault(event["learner_id"], {})
        for name, value in event["before"].items():
            assert name == "status" or name not in known or known[name] == value, event
        known |= event["after"]
        known["version"] = event["version"]
    assert {learner_id: known["version"] for learner_id, known in facts.items()} == versions
    names = {row["id"]: row["username"] for row in state["learners"]}
    assert {learner_id: known["username"] for learner_id, known in facts.items()} == names


@pytest.mark.parametrize("phase", BEFORE_APPLYING)
async def test_learners_who_changed_since_are_decided_again(api: Api, phase: Phase) -> None:
    names = ("same", "deactivated", "expired", "renamed", "newer")
    learners = await roster(api, [f"{name},HR-{name},," for name in names])
    async with own_turn(api):
        operation = await submit(
            api,
            [
                "HR-same,same,,Ada",
                "HR-deactivated,deactivated,Yes,Ada",
                "HR-expired,expired,Yes,Ada",
                ",renamed,,Ada",
                "HR-newer,newer,,Ada",
                *padding(),
            ],
        )
        here = make_runner(api)
        operation = await run_until(here, operation, phase)
        await patch(api, learners["same"], first_name="Ada")
        await act(api, learners["deactivated"], "deactivate")
        await patch(api, learners["expired"], expires_on="2026-11-01")
        await patch(api, learners["renamed"], username="elsewhere")
        await patch(api, learners["newer"], first_name="Grace", email="grace@example.org")
        await finish(here, operation)

    found = await outcomes_by_line(api, operation)
    assert (found[2]["outcome"], found[2]["changes"]) == ("unchanged", {})
    assert found[3]["outcome"] == "changed"
    assert found[3]["changes"]["deactivated_at"] == ["2026-11-02T12:00:00.000000Z", None]
    assert found[4]["outcome"] == "refused"
    assert found[5]["outcome"] == "created"
    assert (found[6]["outcome"], found[6]["changes"]) == ("changed", {"first_name": ["Grace", "Ada"]})
    after = await all_learners(api)
    assert after["deactivated"]["status"] == "activated"
    assert (after["expired"]["first_name"], after["expired"]["status"]) == (None, "expired")
    assert after["elsewhere"]["first_name"] is None
    assert after["newer"]["email"] == "grace@example.org"
    await assert_history_adds_up(api)


@pytest.mark.parametrize("phase", BEFORE_APPLYING)
async def test_name_that_a_new_learner_has_taken_meanwhile_finds_this_learner(api: Api, phase: Phase) -> None:
    async with own_turn(api):
        operation = await submit(api, [",taken,No,Ada", "HR-1,kept,No,Ada", "HR-2,other,No,Ada", *padding()])
        here = make_runner(api)
        operation = await run_until(here, operation, phase)
        taken = await api.create(username="Taken", first_name="Grace")
        kept = await api.create(username="kept", external_id="HR-9")
        by_id = await api.create(username="somebody", external_id="HR-2")
        await finish(here, operation)

    found = await outcomes_by_line(api, operation)
    assert (found[2]["outcome"], found[2]["learner_id"]) == ("changed", taken["id"])
    assert found[2]["changes"]["first_name"] == ["Grace", "Ada"]
    assert (found[3]["outcome"], found[3]["problems"][0]["code"]) == ("invalid", "identity-conflict")
    assert (found[4]["outcome"], found[4]["learner_id"]) == ("changed", by_id["id"])
    assert found[4]["changes"]["username"] == ["somebody", "other"]
    assert (await api.get(kept))["version"] == 1
    await assert_history_adds_up(api)


async def test_name_taken_by_a_learner_whose_own_row_gives_it_up_later_is_handed_on(api: Api) -> None:
    learners = await roster(api, ["first,HR-1,,", "second,HR-2,,"])
    async with own_turn(api):
        operation = await submit(api, ["HR-1,wanted,,", *padding(2 * CHUNK), "HR-2,new-name,,"])
        here = make_runner(api)
        operation = await run_until(here, operation, Phase.APPLY)
        await patch(api, learners["second"], username="wanted")
        await finish(here, operation)

    found = await outcomes_by_line(api, operation)
    assert found[2]["changes"] == {"username": ["first", "wanted"]}
    assert found[2 * CHUNK + 3]["changes"] == {"username": ["wanted", "new-name"]}
    after = await all_learners(api)
    assert (after["wanted"]["id"], after["new-name"]["id"]) == (
        learners["first"]["id"],
        learners["second"]["id"],
    )
    await assert_history_adds_up(api)


@pytest.mark.parametrize("phase", [Phase.JUDGE, Phase.MOVE])
async def test_ring_one_of_whose_names_went_to_somebody_else_is_rejected_where_it_breaks(
    api: Api, phase: Phase
) -> None:
    learners = await roster(api, [f"ring{each},HR-{each},," for each in range(3)])
    async with own_turn(api):
        operation = await submit(api, ["HR-0,ring1,,", "HR-1,ring2,,", *padding(2 * CHUNK), "HR-2,ring0,,"])
        here = make_runner(api)
        operation = await run_until(here, operation, phase)
        await patch(api, learners["ring1"], username="elsewhere")
        newcomer = await api.create(username="ring1")
        await finish(here, operation)

    found = await outcomes_by_line(api, operation)
    last = 2 * CHUNK + 4
    # The newcomer keeps ring1, so that ring0 is not given up. Whoever had ring1 takes ring2 only if that is given up.
    assert [found[line]["outcome"] for line in (2, last, 3)] == ["invalid"] * 3
    after = await all_learners(api)
    assert {name: after[name]["id"] for name in ("ring0", "elsewhere", "ring2", "ring1")} == {
        "ring0": learners["ring0"]["id"],
        "elsewhere": learners["ring1"]["id"],
        "ring2": learners["ring2"]["id"],
        "ring1": newcomer["id"],
    }
    await assert_history_adds_up(api)


async def test_ring_one_of_whose_learners_was_renamed_still_moves(api: Api) -> None:
    learners = await roster(api, [f"ring{each},HR-{each},," for each in range(3)])
    async with own_turn(api):
        operation = await submit(api, ["HR-0,ring1,,", "HR-1,ring2,,", *padding(2 * CHUNK), "HR-2,ring0,,"])
        here = make_runner(api)
        operation = await run_until(here, operation, Phase.MOVE)
        await patch(api, learners["ring1"], username="elsewhere")
        await finish(here, operation)

    found = await outcomes_by_line(api, operation)
    assert found[3]["changes"] == {"username": ["elsewhere", "ring2"]}
    after = await all_learners(api)
    assert [after[f"ring{(each + 1) % 3}"]["id"] for each in range(3)] == [
        learners[f"ring{each}"]["id"] for each in range(3)
    ]
    await assert_history_adds_up(api)


@pytest.mark.parametrize("phase", [Phase.JUDGE, Phase.APPLY])
@pytest.mark.parametrize("apart", [0, 2 * CHUNK])
async def test_row_that_comes_to_be_about_the_learner_of_another_row_is_a_duplicate(
    api: Api, phase: Phase, apart: int
) -> None:
    learners = await roster(api, ["known,HR-1,,"])
    async with own_turn(api):
        operation = await submit(api, [",new-name,,Grace", *padding(apart), "HR-1,,,Ada", *padding()])
        here = make_runner(api)
        operation = await run_until(here, operation, phase)
        await patch(api, learners["known"], username="new-name")
        await finish(here, operation)

    found = await outcomes_by_line(api, operation)
    assert found[2]["changes"] == {"first_name": [None, "Grace"]}
    second = found[3 + apart]
    assert (second["outcome"], second["problems"][0]["code"]) == ("invalid", "duplicate-row")
    await assert_history_adds_up(api)


@pytest.mark.parametrize("phase", [Phase.MOVE, Phase.APPLY])
async def test_day_that_changed_since_counts(api: Api, phase: Phase) -> None:
    names = ("swap0", "swap1", "single", "late")
    learners = await roster(api, [f"{name},HR-{name},No," for name in names])
    for name in ("swap0", "single"):
        await patch(api, learners[name], expires_on="2026-11-02")
    async with own_turn(api):
        operation = await submit(
            api,
            [
                "HR-swap0,swap1,Yes,",
                "HR-swap1,swap0,Yes,",
                "HR-single,single,Yes,",
                *padding(2 * CHUNK),
                "HR-late,late,Yes,",
            ],
        )
        here = make_runner(api)
        operation = await run_until(here, operation, phase)
        assert operation.phase is phase
        api.service.clock.advance(days=1)
        await finish(here, operation)

    found = await outcomes_by_line(api, operation)
    moved_before = phase is Phase.APPLY
    # Without the expired learner's row, the name that it would give up stays taken.
    assert found[2]["outcome"] == ("changed" if moved_before else "refused")
    assert found[3]["outcome"] == ("changed" if moved_before else "invalid")
    assert found[4]["outcome"] == "refused"
    assert found[4]["problems"][0]["code"] == "learner-expired"
    assert found[2 * CHUNK + 5]["outcome"] == "changed"
    assert (await api.get(learners["single"]))["status"] == "expired"
    state = await state_of(api)
    last = {event["learner_id"]: event for event in state["events"] if event["operation_id"] == operation.id}
    assert last[learners["late"]["id"]]["after"]["status"] == "activated"
    await assert_history_adds_up(api)


async def test_single_changes_during_an_import_lose_and_double_nothing(
    api: Api, second_database: Database
) -> None:
    number = 2 * CHUNK
    learners = await roster(api, [f"u{each},HR-{each},{'No' if each % 3 else ''}," for each in range(number)])
    chance = random.Random(7)
    lines = [
        # Neighbors swap their names; others are activated.
        f"HR-{each},u{each ^ 1 if each % 4 < 2 else each},{'Yes' if each % 2 else 'No'},Ada"
        for each in range(number)
    ]
    changed = 0

    async def change_some() -> None:
        nonlocal changed
        while not (await stored(api, operation.id)).is_finished:
            learner = learners[f"u{chance.randrange(number)}"]
            choice = chance.randrange(4)
            changed += 1
            if choice == 0:
                await act(api, learner, chance.choice(["activate", "deactivate"]))
            elif choice == 1:
                await patch(api, learner, first_name=chance.choice(["Ada", "Grace"]))
            elif choice == 2:
                await patch(api, learner, username=f"free{changed}")
            else:
                await api.client.post("/learners", json={"username": f"u{chance.randrange(number)}"})

    async with own_turn(api):
        operation = await submit(api, lines)
        here = make_runner(api, second_database)
        await asyncio.gather(here.run(operation), change_some(), change_some())

    document = await ended(api, {"id": operation.id})
    assert document["state"] == "succeeded"
    outcomes = await all_outcomes(api, document)
    assert len(outcomes) == sum(document["counts"].values()) == number
    state = await state_of(api)
    mine = {event["learner_id"]: event for event in state["events"] if event["operation_id"] == operation.id}
    changes = {each["learner_id"]: each["changes"] for each in outcomes if each["changes"]}
    assert changes.keys() == mine.keys()
    for learner_id, event in mine.items():
        names = event["before"].keys() | event["after"].keys()
        found = {name: [event["before"].get(name), event["after"].get(name)] for name in names}
        assert {name: each for name, each in found.items() if each[0] != each[1]} == changes[learner_id]
    assert changed > 0
    await assert_history_adds_up(api)


# Stopped between the phases


async def submit_swaps(api: Api) -> Operation:
    await roster(api, [f"u{each},HR-{each},," for each in range(3 * CHUNK)])
    last = 3 * CHUNK - 1
    # The first of a chunk swaps with the last of all chunks, and so on.
    lines = [
        f"HR-{each},u{last - each if each % 10 == 0 or (last - each) % 10 == 0 else each},No,Ada"
        for each in range(3 * CHUNK)
    ]
    return await submit(api, lines)


POINTS = [*((phase, 0) for phase in Phase), (Phase.APPLY, 1), (Phase.APPLY, 2)]


@pytest.mark.parametrize("how", ["cancel", "fail"])
@pytest.mark.parametrize(("phase", "chunk"), POINTS)
async def test_stopped_operation_is_counted_and_undone_wherever_it_stood(
    api: Api, phase: Phase, chunk: int, how: str
) -> None:
    async with own_turn(api):
        operation = await submit_swaps(api)
        before = await state_of(api)
        here = make_runner(api)
        operation = await run_until(here, operation, phase, chunk)
        api.service.clock.advance(minutes=1)
        if how == "cancel":
            answer = await api.client.post(f"/operations/{operation.id}/cancel")
            assert answer.status_code == 200
        else:
            await here.fail(operation)
        state = await state_of(api)
        moved = 30 if phase is Phase.APPLY else 0
        document = await ended(api, {"id": operation.id})
        outcomes = await all_outcomes(api, document)
        mine = [event for event in state["events"] if event["operation_id"] == operation.id]
        assert document["state"] == ("cancelled" if how == "cancel" else "failed")
        assert len(outcomes) == document["progress"]["done"] == sum(document["counts"].values()) == len(mine)
        assert len(mine) == chunk * CHUNK + moved - moved * chunk // 3
        assert document["revertible"] == len(mine)
        assert document["deactivated"] == len(mine)
        at = {event["learner_id"]: event["after"]["deactivated_at"] for event in mine}
        assert {each["learner_id"]: each["changes"]["deactivated_at"][1] for each in outcomes} == at

        answer = await api.client.post(
            f"/operations/{operation.id}/revert", headers={"Prefer": "respond-async"}
        )
        if not mine:
            assert answer.status_code == 409
            return
        assert answer.status_code in (200, 202), answer.text
        await finish(here, await stored(api, answer.json()["id"]))

    after = await state_of(api)
    facts = ("username", "username_key", "external_id", "first_name", "deactivated_at")
    assert [[row[name] for name in facts] for row in after["learners"]] == [
        [row[name] for name in facts] for row in before["learners"]
    ]
    assert (await ended(api, document))["revertible"] == 0
    assert (await stored(api, answer.json()["id"])).state is State.SUCCEEDED
    await assert_history_adds_up(api)
