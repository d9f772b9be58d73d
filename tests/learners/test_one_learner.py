"""One learner over HTTP: what is answered, what is stored, what is recorded."""

import pytest

pytestmark = pytest.mark.anyio


async def test_a_new_learner_is_activated(api):
    learner = await api.create(username="a.okafor")
    assert (learner["status"], learner["can_log_in"], learner["version"]) == ("activated", True, 1)
    assert [event["type"] for event in await api.events(learner)] == ["learner.created"]
