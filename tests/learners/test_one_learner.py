"""Creates, reads and changes one learner over HTTP: the answer, the stored learner and the recorded events."""

import json
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tests.support.answers import pointers, problem
from tests.support.service import NOON, Api

pytestmark = pytest.mark.anyio

TODAY = NOON.date()
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
FULL = {
    "username": "a.okafor",
    "email": "a.okafor@example.org",
    "first_name": "Adaeze",
    "last_name": "Okafor",
    "external_id": "HR-1003",
    "expires_on": "2026-11-02",
}
# Values that a field refuses, by field.
INVALID: dict[str, list[Any]] = {
    "username": [
        *("", "   ", "a" * 256, "two\nlines", "half a \ud800 pair", 17, True),
        *("a\u200bb", "a\ufe0f", "a\u3164", "a\ue000", "a\U000e0041", '"a"'),
    ],
    "email": [
        *("", "nobody", "two@at@example.org", "a b@example.org", "a" * 310 + "@example.org", 17),
        *("a@example..org", "a@example.org\u200b", "mailto:a@example.org"),
    ],
    "first_name": ["", " ", "a\x07b", "a\ud800b", "b" * 256, ["Adaeze"]],
    "last_name": ["", "\u2028", "b" * 256, {"name": "Okafor"}],
    "external_id": ["", "x" * 256, 1003, "HR\u200b1", '"HR-1"'],
    "expires_on": [
        *(
            "",
            "never",
            "2026-02-29",
            "31.10.2026",
            "20261031",
            "2026-10-31T00:00:00Z",
            "\uff12\uff10\uff12\uff16-10-31",
        ),
        *(0, "0", 1793404800, 0.0, True),
    ],
}


async def usernames(api: Api) -> list[Any]:
    return [learner["username"] for learner in (await api.client.get("/learners")).json()["items"]]


def write_json(body: Any) -> dict[str, Any]:
    """Make a body with half a surrogate pair, which the client's own encoder would not send."""
    return {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}


async def patch(api: Api, learner: dict[str, Any], **members: Any) -> httpx.Response:
    return await api.client.patch(f"/learners/{learner['id']}", json=members)


class TestCreating:
    async def test_a_learner_with_every_field_is_stored_and_answered_as_sent(self, api: Api) -> None:
        answer = await api.client.post("/learners", json=FULL)
        assert answer.status_code == 201
        learner = answer.json()
        assert learner == FULL | {
            "id": learner["id"],
            "status": "activated",
            "can_log_in": True,
            "restores_to": None,
            "deactivated_at": None,
            "first_accessed_at": None,
            "last_accessed_at": None,
            "sessions_valid_from": None,
            "created_at": "2026-11-02T12:00:00Z",
            "updated_at": "2026-11-02T12:00:00Z",
            "version": 1,
        }
        found = await api.client.get(answer.headers["Location"])
        assert (found.json(), found.headers["ETag"]) == (learner, answer.headers["ETag"])

    async def test_creation_is_the_first_event(self, api: Api) -> None:
        learner = await api.create(**FULL)
        (event,) = await api.events(learner)
        me = (await api.client.get("/me")).json()
        assert event == {
            "id": event["id"],
            "type": "learner.created",
            "learner_id": learner["id"],
            "version": 1,
            "occurred_at": "2026-11-02T12:00:00Z",
            "actor": me["actor"],
            "operation_id": None,
            "reason": None,
            "before": {},
            "after": FULL | {"status": "activated"},
        }

    async def test_username_alone_is_enough(self, api: Api) -> None:
        learner = await api.create(username="b.lindqvist")
        assert {name: learner[name] for name in FULL} == dict.fromkeys(FULL) | {"username": "b.lindqvist"}
        assert [event["after"] for event in await api.events(learner)] == [
            {"username": "b.lindqvist", "status": "activated"}
        ]

    async def test_learner_created_with_a_past_date_is_expired(self, api: Api) -> None:
        learner = await api.create(expires_on=YESTERDAY.isoformat())
        assert (learner["status"], learner["can_log_in"], learner["restores_to"]) == (
            "expired",
            False,
            "activated",
        )

    async def test_outer_spaces_are_removed_and_letters_composed(self, api: Api) -> None:
        learner = await api.create(username="  zoe\N{COMBINING DIAERESIS} ", first_name=" Zoe\u0308")
        assert (learner["username"], learner["first_name"]) == ("zoë", "Zoë")

    @pytest.mark.parametrize("field", INVALID)
    async def test_invalid_field_is_422_with_its_pointer(self, api: Api, field: str) -> None:
        for value in INVALID[field]:
            answer = await api.client.post("/learners", **write_json(FULL | {field: value}))
            assert pointers(problem(answer, 422, "invalid-request")) == [f"/{field}"], value
        assert await usernames(api) == []

    @pytest.mark.parametrize("body", [{}, {"username": None}, {"email": "a@example.org"}])
    async def test_missing_username_is_422(self, api: Api, body: dict[str, Any]) -> None:
        answer = await api.client.post("/learners", json=body)
        assert pointers(problem(answer, 422, "invalid-request")) == ["/username"]

    @pytest.mark.parametrize("value", ["active", "deactivated", None])
    async def test_status_is_422_and_names_the_three_ways_to_change_it(
        self, api: Api, value: str | None
    ) -> None:
        answer = await api.client.post("/learners", json={"username": "a.okafor", "status": value})
        document = problem(answer, 422, "invalid-request")
        assert pointers(document) == ["/status"]
        for way in ("/activate", "/deactivate", "expires_on"):
            assert way in document["detail"]
        assert await usernames(api) == []

    @pytest.mark.parametrize("name", ["deactivated_at", "version", "id", "user_name", "organization_id", ""])
    async def test_unknown_member_is_422(self, api: Api, name: str) -> None:
        answer = await api.client.post("/learners", json={"username": "a.okafor", name: "x"})
        assert pointers(problem(answer, 422, "invalid-request")) == [f"/{name}"]
        assert await usernames(api) == []

    @pytest.mark.parametrize(
        ("taken", "wanted"),
        [
            ("a.okafor", "a.okafor"),
            ("a.okafor", " A.OKAFOR"),
            ("özil", "ÖZIL"),
            ("Straße", "STRASSE"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("zoë", "ZOE\N{COMBINING DIAERESIS}"),
        ],
    )
    async def test_username_taken_in_another_case_is_409(self, api: Api, taken: str, wanted: str) -> None:
        await api.create(username=taken)
        document = problem(
            await api.client.post("/learners", json={"username": wanted}), 409, "username-taken"
        )
        assert pointers(document) == ["/username"]
        assert await usernames(api) == [taken]

    async def test_external_id_is_taken_only_if_it_is_exactly_the_same(self, api: Api) -> None:
        await api.create(external_id="HR-1")
        answer = await api.client.post("/learners", json={"username": "b", "external_id": "HR-1"})
        assert pointers(problem(answer, 409, "external-id-taken")) == ["/external_id"]
        assert await usernames(api) == ["learner0001"]
        await api.create(external_id="hr-1")

    async def test_learners_may_share_an_email_and_have_no_external_id(self, api: Api) -> None:
        for _ in range(3):
            await api.create(email="shared@example.org", external_id=None)
        assert len(await usernames(api)) == 3


class TestReading:
    @pytest.mark.parametrize("way", ["upper", "lower"])
    async def test_learner_is_found_by_id_in_upper_and_lower_case(self, api: Api, way: str) -> None:
        learner = await api.create()
        assert (await api.client.get(f"/learners/{getattr(learner['id'], way)()}")).json() == learner

    @pytest.mark.parametrize(
        "unknown",
        ["019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11", "a.okafor", "17", "019a8c5e7c1f7d559b0e3f6f3b0c2a11"],
    )
    async def test_unknown_id_is_404(self, api: Api, unknown: str) -> None:
        problem(await api.client.get(f"/learners/{unknown}"), 404, "not-found")


class TestPatching:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("username", "c.dubois"),
            ("email", "c.dubois@example.org"),
            ("first_name", "Chloé"),
            ("last_name", "Dubois"),
            ("external_id", "HR-9"),
            ("expires_on", "2027-12-31"),
        ],
    )
    async def test_patch_sets_one_field_and_keeps_the_others(self, api: Api, field: str, value: str) -> None:
        learner = await api.create(**FULL)
        api.service.clock.advance(minutes=1)
        answer = await patch(api, learner, **{field: value})
        assert answer.status_code == 200
        changed = {field: value, "updated_at": "2026-11-02T12:01:00Z", "version": 2}
        assert answer.json() == await api.get(learner) == learner | changed
        event, _ = await api.events(learner)
        assert (event["type"], event["version"]) == ("learner.updated", 2)
        assert (event["before"], event["after"]) == (
            {field: FULL[field], "status": "activated"},
            {field: value, "status": "activated"},
        )

    @pytest.mark.parametrize("field", ["email", "first_name", "last_name", "external_id", "expires_on"])
    async def test_null_clears_a_field(self, api: Api, field: str) -> None:
        learner = await api.create(**FULL)
        assert (await patch(api, learner, **{field: None})).json()[field] is None
        assert await api.get(learner) == learner | {field: None, "version": 2}
        event, _ = await api.events(learner)
        assert (event["before"][field], event["after"][field]) == (FULL[field], None)

    async def test_several_fields_at_once_are_one_change(self, api: Api) -> None:
        learner = await api.create(**FULL)
        await patch(api, learner, first_name="Ada", last_name=None, external_id="HR-1003")
        event, created = await api.events(learner)
        assert (event["version"], created["version"]) == (2, 1)
        assert event["before"] == {"first_name": "Adaeze", "last_name": "Okafor", "status": "activated"}
        assert event["after"] == {"first_name": "Ada", "last_name": None, "status": "activated"}

    @pytest.mark.parametrize("value", [None, "", "  "])
    async def test_username_null_is_422(self, api: Api, value: str | None) -> None:
        learner = await api.create(**FULL)
        document = problem(await patch(api, learner, username=value), 422, "invalid-request")
        assert pointers(document) == ["/username"]
        assert await api.get(learner) == learner

    @pytest.mark.parametrize(
        "body",
        [
            {},
            FULL,
            {"username": " a.okafor "},
            {"email": "a.okafor@example.org", "expires_on": "2026-11-02"},
        ],
    )
    async def test_patch_without_a_difference_records_nothing(self, api: Api, body: dict[str, Any]) -> None:
        learner = await api.create(**FULL)
        etag = (await api.client.get(f"/learners/{learner['id']}")).headers["ETag"]
        api.service.clock.advance(hours=1)
        answer = await patch(api, learner, **body)
        assert (answer.status_code, answer.json(), answer.headers["ETag"]) == (200, learner, etag)
        assert await api.get(learner) == learner
        assert len(await api.events(learner)) == 1

    @pytest.mark.parametrize("value", ["active", None])
    async def test_status_in_a_patch_is_422_and_nothing_is_applied(self, api: Api, value: str | None) -> None:
        learner = await api.create(**FULL)
        document = problem(await patch(api, learner, status=value, first_name="X"), 422, "invalid-request")
        assert pointers(document) == ["/status"]
        for way in ("/activate", "/deactivate", "expires_on"):
            assert way in document["detail"]
        assert await api.get(learner) == learner

    @pytest.mark.parametrize("name", ["deactivated_at", "first_accessed_at", "version", "Email", "reason"])
    async def test_unknown_member_is_422(self, api: Api, name: str) -> None:
        learner = await api.create()
        document = problem(await patch(api, learner, **{name: None}), 422, "invalid-request")
        assert pointers(document) == [f"/{name}"]

    @pytest.mark.parametrize("body", [[], "a.okafor", None, 1])
    async def test_patch_that_is_no_object_is_422(self, api: Api, body: int | list[Any] | str | None) -> None:
        learner = await api.create()
        problem(await api.client.patch(f"/learners/{learner['id']}", json=body), 422, "invalid-request")
        problem(await api.client.patch(f"/learners/{learner['id']}"), 422, "invalid-request")
        assert len(await api.events(learner)) == 1

    async def test_merge_patch_media_type_is_accepted(self, api: Api) -> None:
        learner = await api.create()
        answer = await api.client.patch(
            f"/learners/{learner['id']}",
            content=b'{"first_name": "Ada"}',
            headers={"Content-Type": "application/merge-patch+json"},
        )
        assert (answer.status_code, answer.json()["first_name"]) == (200, "Ada")

    @pytest.mark.parametrize("field", INVALID)
    async def test_invalid_field_is_422_with_its_pointer(self, api: Api, field: str) -> None:
        learner = await api.create(**FULL)
        for value in INVALID[field]:
            answer = await api.client.patch(f"/learners/{learner['id']}", **write_json({field: value}))
            assert pointers(problem(answer, 422, "invalid-request")) == [f"/{field}"], value
        assert await api.get(learner) == learner

    async def test_unknown_learner_is_404(self, api: Api) -> None:
        missing = {"id": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"}
        problem(await patch(api, missing, first_name="Ada"), 404, "not-found")


class TestRenaming:
    async def test_username_of_another_learner_is_409_in_any_case(self, api: Api) -> None:
        await api.create(username="Zoë")
        learner = await api.create(username="a.okafor")
        document = problem(await patch(api, learner, username="ZOË", first_name="X"), 409, "username-taken")
        assert pointers(document) == ["/username"]
        assert await api.get(learner) == learner

    async def test_external_id_of_another_learner_is_409(self, api: Api) -> None:
        await api.create(external_id="HR-1")
        learner = await api.create(external_id="HR-2")
        document = problem(
            await patch(api, learner, external_id="HR-1", first_name="X"), 409, "external-id-taken"
        )
        assert pointers(document) == ["/external_id"]
        assert await api.get(learner) == learner

    async def test_username_may_change_only_its_case(self, api: Api) -> None:
        learner = await api.create(username="a.okafor")
        assert (await patch(api, learner, username="A.Okafor")).json()["username"] == "A.Okafor"
        event, _ = await api.events(learner)
        assert (event["before"]["username"], event["after"]["username"]) == ("a.okafor", "A.Okafor")

    async def test_renaming_frees_the_old_keys_and_the_new_ones_find_the_learner(self, api: Api) -> None:
        learner = await api.create(username="old", external_id="HR-1", email="old@example.org")
        await patch(api, learner, username="new", external_id="HR-2", email="new@example.org")
        await api.create(username="OLD", external_id="HR-1")
        for name, value in (
            ("username", "NEW"),
            ("external_id", "HR-2"),
            ("email", "New@example.org"),
            ("q", "ew@"),
        ):
            found = (await api.client.get("/learners", params={name: value})).json()["items"]
            assert [each["id"] for each in found] == [learner["id"]], name
        assert (await api.client.get("/learners", params={"email": "old@example.org"})).json()["items"] == []


class TestMovingTheExpirationDate:
    @pytest.mark.parametrize(
        ("before", "after", "event_type", "status"),
        [
            (None, YESTERDAY, "learner.expired", "expired"),
            (TODAY, YESTERDAY, "learner.expired", "expired"),
            (TOMORROW, YESTERDAY, "learner.expired", "expired"),
            (YESTERDAY, date(2020, 2, 29), "learner.updated", "expired"),
            (YESTERDAY, TODAY, "learner.restored", "activated"),
            (YESTERDAY, TOMORROW, "learner.restored", "activated"),
            (YESTERDAY, None, "learner.restored", "activated"),
            (None, TODAY, "learner.updated", "activated"),
            (None, date(9999, 12, 31), "learner.updated", "activated"),
            (TOMORROW, TODAY, "learner.updated", "activated"),
            (TOMORROW, None, "learner.updated", "activated"),
        ],
    )
    async def test_new_date_expires_or_restores_at_once(
        self, api: Api, before: date | None, after: date | None, event_type: str, status: str
    ) -> None:
        learner = await api.create(expires_on=before and before.isoformat())
        answer = await patch(api, learner, expires_on=after and after.isoformat())
        assert (answer.json()["status"], answer.json()["version"]) == (status, 2)
        assert await api.get(learner) == answer.json()
        event, _ = await api.events(learner)
        assert event["type"] == event_type
        assert event["before"] == {"expires_on": learner["expires_on"], "status": learner["status"]}
        assert event["after"] == {"expires_on": answer.json()["expires_on"], "status": status}

    async def test_new_date_keeps_a_deactivated_learner_deactivated(self, api: Api) -> None:
        learner = await api.create()
        await api.client.post(f"/learners/{learner['id']}/deactivate")
        expired = (await patch(api, learner, expires_on=YESTERDAY.isoformat())).json()
        assert (expired["status"], expired["restores_to"]) == ("expired", "deactivated")
        restored = (await patch(api, learner, expires_on=TOMORROW.isoformat())).json()
        assert (restored["status"], restored["restores_to"]) == ("deactivated", None)
        assert [event["type"] for event in await api.events(learner)][:2] == [
            "learner.restored",
            "learner.expired",
        ]

    async def test_learner_who_accessed_training_is_restored_as_active(self, api: Api) -> None:
        learner = await api.create()
        await api.client.post(f"/learners/{learner['id']}/access")
        expired = (await patch(api, learner, expires_on=YESTERDAY.isoformat())).json()
        assert (expired["status"], expired["restores_to"], expired["can_log_in"]) == (
            "expired",
            "active",
            False,
        )
        assert (await patch(api, learner, expires_on=None)).json()["status"] == "active"

    async def test_learner_expires_after_the_last_day(self, api: Api) -> None:
        learner = await api.create(expires_on=TODAY.isoformat())
        api.service.clock.instant = NOON.replace(hour=23, minute=59, second=59, microsecond=999_999)
        assert await api.get(learner) == learner
        api.service.clock.advance(microseconds=1)
        assert await api.get(learner) == learner | {
            "status": "expired",
            "can_log_in": False,
            "restores_to": "activated",
        }
        assert len(await api.events(learner)) == 1
