"""The limit of requests per minute for one credential."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.organizations.api_keys import Scope, new_secret
from tests.support.service import Api, Service, run_service

pytestmark = pytest.mark.anyio

LIMIT = 5


@pytest.fixture
async def limited(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Service]:
    """Run a service with a low limit."""
    del anyio_backend
    async with run_service(f"sqlite:///{tmp_path}/rollcall.db", rate_limit_per_minute=LIMIT) as service:
        yield service


async def test_request_over_the_limit_is_429_with_retry_after(limited: Service) -> None:
    organization = await limited.found_organization()
    async with limited.client(await limited.issue_key(organization)) as client:
        remaining = []
        # One more than the limit, because the window slides when a minute of the clock ends in between.
        for _ in range(LIMIT + 2):
            answer = await client.get("/me")
            assert answer.headers["RateLimit-Policy"] == f'"minute";q={LIMIT};w=60'
            state = re.fullmatch(r'"minute";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
            assert state is not None
            assert 1 <= int(state[2]) <= 60
            if answer.status_code != 200:
                break
            remaining.append(int(state[1]))
        assert (answer.status_code, answer.json()["code"]) == (429, "rate-limited")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert state is not None
        assert answer.headers["Retry-After"] == state[2]
        assert state[1] == "0"
        assert len(remaining) in (LIMIT, LIMIT + 1)
        assert remaining == sorted(remaining, reverse=True)
        assert remaining[0] == LIMIT - 1


async def test_request_over_the_limit_changes_nothing(limited: Service) -> None:
    organization = await limited.found_organization()
    async with (
        limited.client(await limited.issue_key(organization)) as client,
        limited.client(await limited.issue_key(organization)) as other,
    ):
        statuses = [
            (await client.post("/learners", json={"username": f"learner{number}"})).status_code
            for number in range(LIMIT + 3)
        ]
        assert 429 in statuses
        total = (await other.get("/learners/status-counts")).json()["total"]
        assert total == statuses.count(201)


async def test_each_credential_has_its_own_limit(limited: Service) -> None:
    organization = await limited.found_organization()
    async with (
        limited.client(await limited.issue_key(organization)) as one,
        limited.client(await limited.issue_key(organization)) as other,
    ):
        while (await one.get("/me")).status_code == 200:
            pass
        assert (await other.get("/me")).status_code == 200


async def test_refused_request_has_rate_limit_headers(limited: Service) -> None:
    organization = await limited.found_organization()
    async with limited.client(await limited.issue_key(organization, Scope.ACCESS_CHECK)) as client:
        for path, status in (("/learners", 403), ("/access?nonsense=1", 422)):
            answer = await client.get(path)
            assert (answer.status_code, "RateLimit" in answer.headers) == (status, True)


async def test_bulk_action_counts_as_one_request(limited: Service) -> None:
    organization = await limited.found_organization()
    async with limited.client(await limited.issue_key(organization)) as client:
        csv = "Username\n" + "\n".join(f"learner{number}" for number in range(100))
        answer = await client.post("/imports/csv", content=csv, headers={"Content-Type": "text/csv"})
        assert answer.json()["counts"]["created"] == 100
        answer = await client.post(
            "/learners/bulk-actions", json={"action": "deactivate", "selection": {"filter": {}}}
        )
        assert answer.json()["counts"]["changed"] == 100
        remaining = re.match(r'"minute";r=(\d+);', answer.headers["RateLimit"])
        assert remaining is not None
        assert int(remaining[1]) >= LIMIT - 2


async def test_request_without_valid_credential_is_not_counted(limited: Service) -> None:
    async with limited.client() as client, limited.client(new_secret()) as stranger:
        for _ in range(LIMIT + 2):
            answer = await client.get("/healthz")
            assert (answer.status_code, "RateLimit" in answer.headers) == (200, False)
            answer = await stranger.get("/me")
            assert (answer.status_code, "RateLimit" in answer.headers) == (401, False)


async def test_limit_of_zero_means_no_limit(api: Api) -> None:
    answer = await api.client.get("/me")
    assert "RateLimit" not in answer.headers
    assert "RateLimit-Policy" not in answer.headers
