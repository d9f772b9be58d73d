"""`rollcall learners`: shows, activates and deactivates a learner by each key, and says why it refuses."""

import json
from typing import Any

import pytest

from tests.support.command_line import run
from tests.support.service import Api

pytestmark = pytest.mark.anyio


def key_of(learner: dict[str, Any], kind: str) -> tuple[str, ...]:
    """Options that name this learner."""
    return {
        "id": (learner["id"].upper(),),
        "username": ("--username", learner["username"].upper()),
        "external id": ("--external-id", learner["external_id"]),
    }[kind]


@pytest.mark.parametrize("kind", ["id", "username", "external id"])
async def test_learner_is_found_by_each_key(api: Api, kind: str) -> None:
    learner = await api.create(username="a.okafor", external_id="HR-1", first_name="Adaeze")

    shown = await run(api, "learners", "show", *key_of(learner, kind))

    assert shown.status == 0, shown
    for part in (learner["id"], "a.okafor", "HR-1", "Adaeze", "activated"):
        assert part in shown.stdout
    in_json = await run(api, "learners", "show", *key_of(learner, kind), "--json")
    assert json.loads(in_json.stdout) == await api.get(learner)


async def test_learner_is_deactivated_and_activated_with_reason_and_actor(api: Api) -> None:
    learner = await api.create(username="a.okafor")
    name = ("--username", "a.okafor")

    for action, status in (("deactivate", "deactivated"), ("activate", "activated")):
        done = await run(api, "learners", action, *name, "--reason", f"{action} it")
        assert done.status == 0, done
        assert done.stdout.startswith(f"The learner is now {status}.\n")
        assert (await api.get(learner))["status"] == status
        events = await api.events(learner)
        assert events[0]["reason"] == f"{action} it"
        assert events[0]["actor"]["kind"] == "command-line"

        again = await run(api, "learners", action, *name)
        assert again.status == 0
        assert again.stdout.startswith(f"The learner was already {status}.\n")
        assert await api.events(learner) == events
    in_json = await run(api, "learners", "deactivate", *name, "--json")
    assert json.loads(in_json.stdout) == await api.get(learner)


async def test_expired_learner_is_deactivated_and_stays_expired(api: Api) -> None:
    await api.create(username="c.sato", expires_on="2020-01-31")

    done = await run(api, "learners", "deactivate", "--username", "c.sato", "--json")

    document = json.loads(done.stdout)
    assert (done.status, document["status"], document["restores_to"]) == (0, "expired", "deactivated")


async def test_activation_of_an_expired_learner_is_refused_with_the_date(api: Api) -> None:
    learner = await api.create(username="c.sato", expires_on="2020-01-31")

    refused = await run(api, "learners", "activate", "--username", "C.Sato", "--json")

    assert refused.complaint.startswith(
        "the account of c.sato expired after 2020-01-31, so it cannot be activated."
    )
    assert refused.complaint.endswith("Its status is then activated.")
    assert refused.stdout == ""
    assert len(await api.events(learner)) == 1


@pytest.mark.parametrize("command", ["show", "activate", "deactivate"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--username", "nobody"), "with the username 'nobody'."),
        (("--external-id", "hr-1"), "with the external ID 'hr-1'."),
        (("a.okafor",), "with the id 'a.okafor'."),
        (("019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f",), "with the id '019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f'."),
    ],
)
async def test_unknown_learner_is_one_line(
    api: Api, command: str, options: tuple[str, ...], said: str
) -> None:
    await api.create(username="a.okafor", external_id="HR-1")

    complaint = (await run(api, "learners", command, *options)).complaint

    assert complaint == f"the organization {api.organization.slug} has no learner {said}"


async def test_learner_of_another_organization_is_unknown(api: Api) -> None:
    learner = await api.create(username="a.okafor")
    other = Api(api.service, await api.service.found_organization(), api.client)

    for key in ((learner["id"],), ("--username", "a.okafor")):
        assert "has no learner" in (await run(other, "learners", "deactivate", *key)).complaint
    assert (await api.get(learner))["status"] == "activated"
