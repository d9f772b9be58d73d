"""The dispatcher: each event is sent once, whatever fails, and only to its own organization."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook as Verifier

from app.limits import Limits
from app.webhooks import repository
from app.webhooks.dispatcher import Dispatcher
from app.webhooks.sender import Sender
from tests.support.receiver import receiving
from tests.support.service import Api
from tests.support.webhooks import Webhooks

pytestmark = pytest.mark.anyio


async def test_message_is_the_signed_event_of_the_history(api: Api, webhooks: Webhooks) -> None:
    api.service.clock.instant = datetime.now(UTC)  # which the verifier compares
    created = await webhooks.create()
    learner = await api.create(first_name="Ægir")
    await api.client.post(f"/learners/{learner['id']}/deactivate", json={"reason": "contract ended"})
    await webhooks.send()
    messages = sorted(webhooks.receiver.received, key=lambda each: each.document["data"]["version"])
    history = list(reversed(await api.events(learner)))
    for message, event in zip(messages, history, strict=True):
        document = Verifier(created["secret"]).verify(message.content, message.headers)
        assert document == {"type": event["type"], "timestamp": event["occurred_at"], "data": event}
        assert message.id == event["id"]
    assert [each["type"] for each in history] == ["learner.created", "learner.deactivated"]
    newest, oldest = await webhooks.deliveries(created)
    assert (newest["state"], newest["attempts"], newest["response_status"]) == ("delivered", 1, 204)
    assert {newest["event_id"], oldest["event_id"]} == {event["id"] for event in history}
    assert (await webhooks.get(created))["last_delivered_at"] is not None
    await webhooks.send()
    assert len(webhooks.receiver.received) == 2


async def test_events_before_the_webhook_are_not_sent(api: Api, webhooks: Webhooks) -> None:
    await api.create()
    await webhooks.create()
    after = await api.create()
    await webhooks.send()
    assert [each.document["data"]["learner_id"] for each in webhooks.receiver.received] == [after["id"]]


async def test_only_chosen_event_types_are_sent(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create(event_types=["learner.deactivated", "learner.restored"])
    learner = await api.create(expires_on="2020-01-01")
    await api.client.post(f"/learners/{learner['id']}/deactivate")
    await api.client.patch(f"/learners/{learner['id']}", json={"expires_on": None})
    await webhooks.send()
    sent = {each.document["type"] for each in webhooks.receiver.received}
    assert sent == {"learner.deactivated", "learner.restored"}
    await webhooks.change(created, event_types=[])
    await api.create()
    await webhooks.send()
    assert webhooks.receiver.received[-1].document["type"] == "learner.created"


async def test_events_of_another_organization_are_not_sent(api: Api, webhooks: Webhooks) -> None:
    await webhooks.create()
    other = await api.service.found_organization()
    async with api.service.client(await api.service.issue_key(other)) as client:
        await client.post("/learners", json={"username": "elsewhere"})
    await webhooks.send()
    assert webhooks.receiver.received == []


@pytest.mark.parametrize("limits", [Limits(webhook_pending=20, webhook_window=30)], ids=["few at a time"])
async def test_each_event_of_an_import_is_sent_once(api: Api, webhooks: Webhooks) -> None:
    first, second = await webhooks.create(), await webhooks.create(event_types=["learner.created"])
    await api.import_csv("Username\n" + "".join(f"many{number}\n" for number in range(75)))
    await webhooks.send()
    ids = [each.id for each in webhooks.receiver.received]
    assert len(ids) == 150
    assert len(set(ids)) == 75
    for webhook in (first, second):
        assert len(await webhooks.deliveries(webhook, state="delivered")) == 75


async def test_failed_delivery_is_sent_again_with_the_same_id(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    await api.create()
    webhooks.receiver.answers.append(503)
    await webhooks.send()
    (waiting,) = await webhooks.deliveries(created, state="pending")
    assert (waiting["attempts"], waiting["response_status"]) == (1, 503)
    await webhooks.send()
    assert len(webhooks.receiver.received) == 1  # not before its time
    api.service.clock.advance(seconds=6)
    await webhooks.send()
    (delivered,) = await webhooks.deliveries(created)
    assert (delivered["state"], delivered["attempts"], delivered["error"]) == ("delivered", 2, None)
    first, second = webhooks.receiver.received
    assert (first.id, first.content) == (second.id, second.content)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]


async def test_failing_webhook_is_disabled_and_continues_when_enabled(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    lost = await api.create()
    webhooks.receiver.answers.extend([500] * 10)
    for _ in range(10):
        await webhooks.send()
        api.service.clock.advance(hours=27)
    disabled = await webhooks.get(created)
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "failing")
    (failed,) = await webhooks.deliveries(created, state="failed")
    assert (failed["attempts"], failed["next_attempt_at"]) == (10, None)
    missed = await api.create()
    await webhooks.send()
    assert len(webhooks.receiver.received) == 10
    enabled = await webhooks.change(created, enabled=True)
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)
    await webhooks.send()
    assert webhooks.receiver.received[-1].document["data"]["learner_id"] == missed["id"]
    await api.client.post(f"/webhooks/{created['id']}/deliveries/{failed['id']}/retry")
    await webhooks.send()
    assert webhooks.receiver.received[-1].document["data"]["learner_id"] == lost["id"]
    assert len(webhooks.receiver.received) == 12


async def test_failed_delivery_does_not_disable_a_webhook_that_receives_others(
    api: Api, webhooks: Webhooks
) -> None:
    created = await webhooks.create()
    await api.create()
    webhooks.receiver.answers.append(400)
    await webhooks.send()
    await api.create()
    api.service.clock.advance(seconds=1)
    await webhooks.send()
    for _ in range(9):
        webhooks.receiver.answers.append(400)
        api.service.clock.advance(hours=27)
        await webhooks.send()
    assert len(await webhooks.deliveries(created, state="failed")) == 1
    assert (await webhooks.get(created))["enabled"] is True


async def test_gone_endpoint_disables_the_webhook(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    await api.create()
    webhooks.receiver.answers.append(410)
    await webhooks.send()
    gone = await webhooks.get(created)
    assert (gone["enabled"], gone["disabled_reason"]) == (False, "gone")
    await api.create()
    api.service.clock.advance(days=1)
    await webhooks.send()
    assert len(webhooks.receiver.received) == 1
    # After the repair nothing is lost, not even what the endpoint refused.
    await webhooks.change(created, enabled=True)
    await webhooks.send()
    assert len({each.id for each in webhooks.receiver.received}) == 2
    assert len(await webhooks.deliveries(created, state="delivered")) == 2


async def test_disabled_webhook_loses_no_event(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create(enabled=False)
    learners = [await api.create() for _ in range(3)]
    await webhooks.send()
    assert webhooks.receiver.received == []
    await webhooks.change(created, enabled=True)
    await webhooks.send()
    sent = {each.document["data"]["learner_id"] for each in webhooks.receiver.received}
    assert sent == {each["id"] for each in learners}


async def test_deliveries_of_a_dead_process_are_sent_by_another(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    await api.create()
    database, now = api.service.database, api.service.clock.now()
    webhooks.receiver.hangs_up = True
    await webhooks.send()  # makes the delivery
    webhooks.receiver.hangs_up = False
    api.service.clock.advance(seconds=10)
    now = api.service.clock.now()
    (taken,) = await database.write(repository.claim_due, created["id"], now, now + timedelta(seconds=30), 8)
    await webhooks.send()
    assert webhooks.receiver.received == []
    api.service.clock.advance(seconds=61)
    await webhooks.send()
    assert [each.id for each in webhooks.receiver.received] == [taken.event_id]
    (delivered,) = await webhooks.deliveries(created)
    assert (delivered["state"], delivered["attempts"]) == ("delivered", 3)
    # If the first process is alive after all, its late result is not stored.
    assert not await database.write(repository.store_attempt, taken)


async def test_two_dispatchers_send_each_event_once(api: Api, webhooks: Webhooks) -> None:
    created = await webhooks.create()
    await api.import_csv("Username\n" + "".join(f"both{number}\n" for number in range(60)))
    other = Dispatcher(
        api.service.database, api.service.clock, Sender(to_private_networks=True), timedelta(days=30)
    )
    await asyncio.gather(webhooks.dispatcher.look(), other.look())
    await asyncio.gather(webhooks.dispatcher.finish(), other.finish())
    await webhooks.send()
    await other.stop()
    ids = [each.id for each in webhooks.receiver.received]
    assert len(ids) == len(set(ids)) == 60
    assert len(await webhooks.deliveries(created)) == 60


async def test_slow_endpoint_does_not_delay_others(api: Api, webhooks: Webhooks) -> None:
    async with receiving() as hanging:
        hanging.hangs = True
        await webhooks.create(url=hanging.url)
        await webhooks.create()
        await api.create()
        async with asyncio.timeout(10):
            while not webhooks.receiver.received:
                await webhooks.dispatcher.look()
                await asyncio.sleep(0.01)
            for _ in range(3):  # and it continues while the slow one is still waited for
                await api.create()
            while len(webhooks.receiver.received) < 4:
                await webhooks.dispatcher.look()
                await asyncio.sleep(0.01)


async def test_old_deliveries_and_removed_webhooks_are_deleted(api: Api, webhooks: Webhooks) -> None:
    created, removed = await webhooks.create(), await webhooks.create()
    await api.create()
    await webhooks.send()
    webhooks.receiver.answers.append(500)
    await api.client.delete(f"/webhooks/{removed['id']}")
    api.service.clock.advance(days=29)
    await api.create()
    await webhooks.send()
    await webhooks.dispatcher.tidy()
    assert len(await webhooks.deliveries(created)) == 2
    api.service.clock.advance(days=1, seconds=1)
    await webhooks.dispatcher.tidy()
    (left,) = await webhooks.deliveries(created)
    assert left["state"] == "pending"
    async with api.service.database.read() as connection:
        stored = (await connection.execute(text("SELECT webhook_id FROM webhook_deliveries"))).scalars()
        assert {str(each) for each in stored} == {created["id"]}
        webhooks_left = (await connection.execute(text("SELECT id FROM webhooks"))).scalars()
        assert {str(each) for each in webhooks_left} == {created["id"]}


async def test_secrets_and_urls_are_not_logged(
    api: Api, webhooks: Webhooks, capsys: pytest.CaptureFixture[str]
) -> None:
    created = await webhooks.create()
    await api.create()
    webhooks.receiver.answers.append(410)
    await webhooks.send()
    output = "".join(capsys.readouterr())
    assert "webhook disabled" in output
    assert created["secret"] not in output
    assert "tenant=a" not in output
