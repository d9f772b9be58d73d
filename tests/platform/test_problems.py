"""Errors on the wire: every wrong request gets a problem that says what to do, and never a 500."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from app.organizations.api_keys import Scope, new_secret
from app.platform.problems import CATALOGUE, define_problem
from tests.support.logs import Lines
from tests.support.postgres import PostgresServer
from tests.support.service import Api, Service, run_service

pytestmark = pytest.mark.anyio

NOBODY = "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11"
JSON = {"Content-Type": "application/json"}


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem of an answer. Assert that its members are complete and consistent."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status == CATALOGUE[code].status
    assert problem["title"] == CATALOGUE[code].title
    assert len(problem["detail"]) > 10
    assert problem["instance"] == answer.headers["X-Request-ID"]
    return problem


def pointers(answer: httpx.Response) -> set[str]:
    """Return the pointers of an `invalid-request`."""
    problem = problem_of(answer, 422, "invalid-request")
    assert all(error["detail"].endswith(".") for error in problem["errors"])
    return {error["pointer"] for error in problem["errors"]}


async def count_learners(api: Api) -> int:
    """Count the learners of the organization."""
    return int((await api.client.get("/learners/status-counts")).json()["total"])


# Addresses and methods


@pytest.mark.parametrize(
    "path", ["/nowhere", "/learners/", "/Learners", "/learners//x", "/%00", "/é", "/favicon.ico"]
)
async def test_unknown_address_is_404(service: Service, path: str) -> None:
    async with service.client() as client:
        problem_of(await client.get(path), 404, "not-found")
        problem_of(await client.post(path + "?x=1", content=b"{"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/learners", "GET, HEAD, POST"),
        ("PUT", f"/learners/{NOBODY}", "GET, HEAD, PATCH"),
        ("DELETE", f"/learners/{NOBODY}", "GET, HEAD, PATCH"),
        ("DELETE", f"/learners/{NOBODY}/access", "GET, HEAD, POST"),
        ("GET", f"/learners/{NOBODY}/activate", "POST"),
        ("POST", "/organization", "GET, HEAD, PATCH"),
        ("PATCH", "/api-keys", "GET, HEAD, POST"),
        ("GET", "/imports/csv", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("HEAD", "/imports/csv", "POST"),
        ("PROPFIND", "/me", "GET, HEAD"),
        ("DELETE", "/docs/assets/swagger-ui.css", "GET, HEAD"),
    ],
)
async def test_wrong_method_is_405_with_all_methods(api: Api, method: str, path: str, allowed: str) -> None:
    answer = await api.client.request(method, path)
    assert answer.headers["Allow"] == allowed
    if method == "HEAD":
        assert (answer.status_code, answer.content) == (405, b"")
    else:
        assert allowed in problem_of(answer, 405, "method-not-allowed")["detail"]


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'username': 'x'}",
        b'{"username": "x",}',
        b"username=x",
        b"\xff\xfe\x00",
        b'{"username": "\xff"}',
        b"\x00",
        b"[" * 100_000,
        b'{"username": ' + b"1" * 5000 + b"}",
        b'{"username": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=["cut off", "quotes", "comma", "form", "binary", "latin-1", "NUL", "deep", "huge number", "nested"],
)
async def test_broken_json_is_422(api: Api, body: bytes) -> None:
    problem_of(await api.client.post("/learners", content=body, headers=JSON), 422, "invalid-request")
    assert await count_learners(api) == 0


async def test_json_that_is_not_an_object_is_422(api: Api) -> None:
    for body in (b"null", b"[]", b"7", b'"x"', b"true", b"[{}]", b"NaN"):
        problem_of(await api.client.post("/learners", content=body, headers=JSON), 422, "invalid-request")


async def test_missing_body_is_422(api: Api) -> None:
    for path in ("/learners", "/api-keys", "/learners/bulk-actions"):
        for headers in ({}, JSON):
            problem = problem_of(await api.client.post(path, headers=headers), 422, "invalid-request")
            assert problem["errors"] == [
                {"pointer": "", "detail": "The body is missing. Send a JSON object."}
            ]


async def test_optional_body_can_be_left_out(api: Api) -> None:
    learner = await api.create()
    for headers in ({}, JSON):
        answer = await api.client.post(f"/learners/{learner['id']}/deactivate", headers=headers)
        assert answer.status_code == 200, answer.text
    answer = await api.client.post(f"/learners/{learner['id']}/activate", content=b"null", headers=JSON)
    assert answer.status_code == 200, answer.text


async def test_unexpected_body_is_422(api: Api) -> None:
    learner = await api.create()
    key = (await api.client.post("/api-keys", json={"name": "feed", "scopes": ["admin"]})).json()

    async def in_chunks(*chunks: bytes) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    entering = f"/learners/{learner['id']}/access"
    started = b'{"session_started_at": "2020-01-01T00:00:00Z"}'
    for method, path, content, headers in (
        ("POST", entering, started, JSON),
        ("POST", entering, in_chunks(b"", started), JSON),
        ("POST", entering, b"x", {}),
        ("DELETE", f"/api-keys/{key['id']}", b"{}", JSON),
        ("GET", "/learners", b'{"status": ["active"]}', JSON),
    ):
        answer = await api.client.request(method, path, content=content, headers=headers)
        assert pointers(answer) == {""}
        assert "takes no body" in answer.json()["detail"]
    assert await api.get(learner) == learner
    assert (await api.client.get("/me", headers={"Authorization": f"Bearer {key['secret']}"})).is_success
    for nothing in (b"", in_chunks(), in_chunks(b"")):
        assert (await api.client.post(entering, content=nothing, headers=JSON)).is_success
    assert (await api.client.request("DELETE", f"/api-keys/{key['id']}", content=b"")).is_success


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",  # what curl sends with -d
        "text/plain",
        "text/csv",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "nonsense",
        "",
    ],
)
async def test_body_without_json_content_type_is_415(api: Api, content_type: str) -> None:
    answer = await api.client.post(
        "/learners", content=b'{"username": "x"}', headers={"Content-Type": content_type}
    )
    problem = problem_of(answer, 415, "unsupported-media-type")
    assert "application/json" in problem["detail"]
    wrong = f"'{content_type.partition(';')[0]}' is not supported" if content_type else "is missing"
    assert wrong in problem["detail"]
    assert answer.headers["Accept"] == "application/json"
    assert await count_learners(api) == 0


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
)
async def test_body_with_json_content_type_is_read(api: Api, content_type: str) -> None:
    learner = await api.create()
    answer = await api.client.patch(
        f"/learners/{learner['id']}", content=b'{"first_name": "Ada"}', headers={"Content-Type": content_type}
    )
    assert answer.json()["first_name"] == "Ada"


async def test_import_of_json_is_415_with_accepted_types(api: Api) -> None:
    answer = await api.client.post("/imports/csv", json=[])
    assert "text/csv" in problem_of(answer, 415, "unsupported-media-type")["detail"]


async def test_unknown_member_is_422_with_pointer(api: Api) -> None:
    answer = await api.client.post("/learners", json={"username": "x", "user name": 1, "a/b~c": 2})
    assert pointers(answer) == {"/user name", "/a~1b~0c"}
    body = {"action": "activate", "selection": {"filter": {"statuses": ["active"]}, "excluding": []}}
    answer = await api.client.post("/learners/bulk-actions", json=body)
    assert pointers(answer) == {"/selection/filter/statuses", "/selection/excluding"}
    assert await count_learners(api) == 0


async def test_all_faults_are_listed_and_detail_has_the_first(api: Api) -> None:
    body = {"username": "", "email": "x", "first_name": 7, "expires_on": "tomorrow", "status": "active"}
    answer = await api.client.post("/learners", json=body)
    assert pointers(answer) == {f"/{member}" for member in body}
    assert "(and 2 more)" in answer.json()["detail"]


# Query parameters


async def test_unknown_query_parameter_is_422(api: Api) -> None:
    await api.create()
    for path in (
        "/learners",
        "/learners/status-counts",
        f"/learners/{NOBODY}",
        "/me",
        "/api-keys",
        "/operations",
    ):
        answer = await api.client.get(path, params={"statuss": "active"})
        assert pointers(answer) == {"?statuss"}
        assert "'statuss'" in answer.json()["detail"]
    answer = await api.client.get("/learners", params={"accept": "text/csv"}, headers={"Accept": "text/csv"})
    assert pointers(answer) == {"?accept"}
    answer = await api.client.post("/learners?dry_run=true", json={"username": "x"})
    assert pointers(answer) == {"?dry_run"}
    assert await count_learners(api) == 1


async def test_unknown_parameter_lists_the_supported_ones(api: Api) -> None:
    detail = (await api.client.get("/operations", params={"stat": "failed"})).json()["detail"]
    assert "cursor, dry_run, kind, limit, state" in detail


async def test_repeated_single_parameter_is_422(api: Api) -> None:
    await api.create(username="a.okafor")
    for path, name in (
        ("/learners?limit=1&limit=2", "limit"),
        ("/learners?q=oka&q=oka", "q"),
        ("/learners/status-counts?username=x&username=a.okafor", "username"),
        ("/access?username=x&username=a.okafor", "username"),
        ("/operations?state=failed&state=running", "state"),
    ):
        answer = await api.client.get(path)
        assert pointers(answer) == {f"?{name}"}
        assert f"'{name}'" in answer.json()["detail"]
    answer = await api.client.post(
        "/imports/csv?dry_run=true&dry_run=false",
        content=b"Username\nx\n",
        headers={"Content-Type": "text/csv"},
    )
    assert pointers(answer) == {"?dry_run"}
    assert await count_learners(api) == 1


async def test_list_parameter_can_be_repeated(api: Api) -> None:
    learner = await api.create()
    answer = await api.client.get(
        "/learners", params={"status": ["active", "activated"], "ids": [learner["id"], NOBODY]}
    )
    assert answer.json()["items"] == [learner]


# Authentication comes first


async def test_bad_key_with_broken_request_is_401(service: Service) -> None:
    async with service.client(new_secret()) as client:
        answer = await client.post(
            "/learners?nonsense=1", content=b"{", headers={"Content-Type": "text/plain"}
        )
        problem_of(answer, 401, "not-authenticated")
        answer = await client.get("/learners", params={"limit": "x", "cursor": "y"})
        problem_of(answer, 401, "not-authenticated")


# Text that no database stores


HARD_TEXTS = [b"a\\u0000b", b"\\ud800", b"a\\udfffb", b"\\u0007", b"\\u009f"]


@pytest.mark.parametrize("hard", HARD_TEXTS)
async def test_control_characters_and_surrogates_are_422(api: Api, hard: bytes) -> None:
    learner = await api.create()
    bodies: list[tuple[str, str, bytes, str]] = [
        ("POST", "/learners", b'{"username": "%s"}', "/username"),
        ("POST", "/learners", b'{"username": "x", "email": "%s@example.org"}', "/email"),
        ("POST", "/learners", b'{"username": "x", "first_name": "%s"}', "/first_name"),
        ("POST", "/learners", b'{"username": "x", "last_name": "%s"}', "/last_name"),
        ("POST", "/learners", b'{"username": "x", "external_id": "%s"}', "/external_id"),
        ("PATCH", f"/learners/{learner['id']}", b'{"username": "%s"}', "/username"),
        ("POST", f"/learners/{learner['id']}/deactivate", b'{"reason": "%s"}', "/reason"),
        ("POST", f"/learners/{learner['id']}/activate", b'{"reason": "%s"}', "/reason"),
        (
            "POST",
            "/learners/bulk-actions",
            b'{"action": "activate", "selection": {"usernames": ["%s"]}}',
            "/selection/usernames/0",
        ),
        (
            "POST",
            "/learners/bulk-actions",
            b'{"action": "activate", "selection": {"ids": ["%s"]}}',
            "/selection/ids/0",
        ),
        (
            "POST",
            "/learners/bulk-actions",
            b'{"action": "activate", "selection": {"filter": {"q": "%s"}}}',
            "/selection/filter/q",
        ),
        (
            "POST",
            "/learners/bulk-actions",
            b'{"action": "activate", "selection": {"filter": {}}, "reason": "%s"}',
            "/reason",
        ),
        ("POST", "/api-keys", b'{"name": "%s", "scopes": ["admin"]}', "/name"),
        ("POST", "/api-keys", b'{"name": "x", "scopes": ["%s"]}', "/scopes/0"),
        ("PATCH", "/organization", b'{"name": "%s"}', "/name"),
        ("PATCH", "/organization", b'{"time_zone": "%s"}', "/time_zone"),
        ("PATCH", "/organization", b'{"max_deactivations": "%s"}', "/max_deactivations"),
    ]
    for method, path, body, pointer in bodies:
        answer = await api.client.request(method, path, content=body % hard, headers=JSON)
        assert pointers(answer) == {pointer}, (path, body)
    assert await api.get(learner) == learner
    assert await count_learners(api) == 1


@pytest.mark.parametrize("hard", HARD_TEXTS)
async def test_member_name_with_nul_or_surrogate_is_422(api: Api, hard: bytes) -> None:
    answer = await api.client.post("/learners", content=b'{"username": "x", "%s": 1}' % hard, headers=JSON)
    problem_of(answer, 422, "invalid-request")


QUERIES = [
    "/learners?q={}",
    "/learners?username={}",
    "/learners?email={}",
    "/learners?external_id={}",
    "/learners?status={}",
    "/learners?ids={}",
    "/learners?sort={}",
    "/learners?limit={}",
    "/learners?include={}",
    "/learners?expires_before={}",
    "/learners/status-counts?q={}",
    "/learners?{}=1",
    "/access?username={}",
    "/access?username=x&session_started_at={}",
    "/operations?kind={}",
    "/operations?state={}",
    f"/operations/{NOBODY}/outcomes?outcome={{}}",
]


async def test_nul_in_query_is_422(api: Api) -> None:
    for query in QUERIES:
        problem_of(await api.client.get(query.format("a%00b")), 422, "invalid-request")


@pytest.mark.parametrize("hard", ["%ED%A0%80", "%FF", "%F0%9F%8E%93", "%25%5F%27%22%5C--", "x" * 20_000])
async def test_no_query_is_500(api: Api, hard: str) -> None:
    for query in QUERIES:
        answer = await api.client.get(query.format(hard))
        assert answer.status_code in (200, 404, 422), (query, answer.text)


async def test_nul_in_import_options_is_422(api: Api) -> None:
    for name in ("reason", "encoding", "delimiter", "date_format", "create"):
        answer = await api.client.post(
            f"/imports/csv?{name}=a%00b", content=b"Username\nx\n", headers={"Content-Type": "text/csv"}
        )
        assert pointers(answer) == {f"?{name}"}
    assert await count_learners(api) == 0


PATHS = [
    "/learners/{}",
    "/learners/{}/events",
    "/learners/{}/access",
    "/operations/{}",
    "/operations/{}/outcomes",
    "/problems/{}",
]


async def test_malformed_id_is_404(api: Api) -> None:
    for path in PATHS:
        for hard in ("%00", "%ED%A0%80", "%FF", "é", "x" * 20_000, "1", "-1", "null", "%20", NOBODY + "0"):
            problem_of(await api.client.get(path.format(hard)), 404, "not-found")


# Numbers and lengths


async def test_number_out_of_bounds_in_body_is_422(api: Api) -> None:
    for number in ("1" * 19, "1" * 40, "-1", "1e400", "1.5", "true", '"5"', "[]", "NaN", "Infinity"):
        body = f'{{"action": "activate", "selection": {{"filter": {{}}}}, "expected_count": {number}}}'
        answer = await api.client.post("/learners/bulk-actions", content=body.encode(), headers=JSON)
        assert pointers(answer) == {"/expected_count"}, number


async def test_number_out_of_bounds_in_query_is_422(api: Api) -> None:
    for number in ("0", "-1", "1001", "9" * 25, "1e2", "0x10", "1.0.0", "", "NaN"):
        for path in ("/learners", "/operations", "/api-keys", f"/learners/{NOBODY}/events"):
            assert pointers(await api.client.get(path, params={"limit": number})) == {"?limit"}


async def test_too_long_text_is_422_with_limit(api: Api) -> None:
    answer = await api.client.post("/learners", json={"username": "x" * 256})
    assert "255" in answer.json()["detail"]
    answer = await api.client.post("/learners", json={"username": "x" * 2_000_000})
    assert pointers(answer) == {"/username"}
    assert len(answer.content) < 2000
    learner = await api.create()
    answer = await api.client.post(f"/learners/{learner['id']}/deactivate", json={"reason": "x" * 1001})
    assert pointers(answer) == {"/reason"}
    assert (await api.get(learner))["status"] == "activated"


async def test_documented_lengths_are_enforced(api: Api) -> None:
    schemas = api.service.app.openapi()["components"]["schemas"]
    for path, model, name in (
        ("/learners", "NewLearner", "username"),
        ("/learners", "NewLearner", "email"),
        ("/learners", "NewLearner", "first_name"),
        ("/learners", "NewLearner", "external_id"),
        ("/api-keys", "NewApiKey", "name"),
    ):
        schema = schemas[model]["properties"][name]
        (longest,) = (each["maxLength"] for each in (schema, *schema.get("anyOf", [])) if "maxLength" in each)
        others = {"username": f"with-{name}"} if path == "/learners" else {"scopes": ["admin"]}
        fits = "@x".rjust(longest, "y") if name == "email" else "y" * longest
        for much in (1, 300):
            answer = await api.client.post(path, json=others | {name: fits + "y" * much})
            assert pointers(answer) == {f"/{name}"}
            assert f"at most {longest}" in answer.json()["detail"]
        assert pointers(await api.client.post(path, json=others | {name: " "})) == {f"/{name}"}
        answer = await api.client.post(path, json=others | {name: f"   {fits}  "})
        assert (answer.status_code, answer.json()[name]) == (201, fits)


async def test_problem_repeats_little_of_the_request(api: Api) -> None:
    answer = await api.client.get("/learners", params={"x" * 20_000: "1"})
    assert answer.status_code == 422
    body = {f"unknown {number}": number for number in range(5000)}
    answer = await api.client.post("/learners", json=body)
    assert answer.status_code == 422


# Faults and outages


def test_second_definition_of_a_code_is_an_error() -> None:
    with pytest.raises(ValueError, match="twice"):
        define_problem("not-found", 404, "x", "y")


def test_codes_have_hyphens_and_statuses_are_errors() -> None:
    for code, kind in CATALOGUE.items():
        assert code == kind.code == code.lower()
        assert code.replace("-", "").isalpha()
        assert 400 <= kind.status < 600
        assert kind.explanation.endswith(".")
        assert not kind.title.endswith(".")


async def test_bug_is_500_without_details(api: Api, monkeypatch: pytest.MonkeyPatch, logged: Lines) -> None:
    async def fail(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("Okafor, secret")

    monkeypatch.setattr("app.organizations.repository.get_organization", fail)
    answer = await api.client.get("/organization")
    problem = problem_of(answer, 500, "internal-error")
    assert "Okafor" not in answer.text
    (fault,) = (line for line in logged() if line["level"] == "error")
    assert fault["request_id"] == problem["instance"]
    assert "ZeroDivisionError" in fault["exception"]


@asynccontextmanager
async def administrator(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Return an administrator of a new organization."""
    organization = await service.found_organization()
    async with service.client(await service.issue_key(organization, Scope.ADMIN)) as client:
        yield client


@pytest.fixture
def own_postgres(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """Start a small server that a test can stop and use up."""
    del postgres  # skipped if there is none
    with PostgresServer(durable=True, settings={"max_connections": "12"}) as server:
        yield server


async def test_unavailable_database_is_503_with_retry_after(
    own_postgres: PostgresServer,
) -> None:
    url = own_postgres.create_database("outage")
    async with run_service(url) as service, administrator(service) as client:
        created = await client.post("/learners", json={"username": "before"})
        assert created.status_code == 201

        own_postgres.kill()
        for answer in (
            await client.get("/learners"),
            await client.get(f"/learners/{created.json()['id']}/access"),
            await client.post("/learners", json={"username": "during"}),
            await client.post("/learners", json={"username": "during"}, headers={"Idempotency-Key": "k"}),
            await client.get("/learners", headers={"Accept": "text/csv"}),
            await client.get("/readyz"),
        ):
            problem_of(answer, 503, "database-unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/openapi.yaml")).status_code == 200

        own_postgres.start()
        assert (await client.get("/readyz")).status_code == 200
        answer = await client.post("/learners", json={"username": "during"}, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201
        listed = (await client.get("/learners")).json()["items"]
        assert [learner["username"] for learner in listed] == ["before", "during"]


async def test_lost_database_connection_is_503_with_retry_after(
    own_postgres: PostgresServer,
) -> None:
    url = own_postgres.create_database("crash")
    async with run_service(url) as service, administrator(service) as client:
        learner = (await client.post("/learners", json={"username": "x"})).json()
        holder, observer = await asyncpg.connect(url), await asyncpg.connect(url)
        await holder.execute("BEGIN; LOCK TABLE learners IN ACCESS EXCLUSIVE MODE")
        requests = [
            asyncio.create_task(client.get("/learners")),
            asyncio.create_task(client.post(f"/learners/{learner['id']}/deactivate")),
            asyncio.create_task(
                client.post("/learners", json={"username": "y"}, headers={"Idempotency-Key": "k"})
            ),
        ]
        while await observer.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < len(requests):
            pass
        own_postgres.kill()
        for answer in await asyncio.gather(*requests):
            problem_of(answer, 503, "database-unavailable")
        holder.terminate()
        observer.terminate()

        own_postgres.start()
        assert (await client.get(f"/learners/{learner['id']}")).json()["status"] == "activated"


async def test_database_without_free_connection_is_503(
    own_postgres: PostgresServer,
) -> None:
    url = own_postgres.create_database("crowd")
    async with run_service(url) as service, administrator(service) as client:
        await service.database.engine.dispose()
        crowd = []
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                crowd.append(await asyncpg.connect(url))
        problem_of(await client.get("/learners"), 503, "database-unavailable")
        for connection in crowd:
            await connection.close()
        assert (await client.get("/learners")).status_code == 200


async def test_locked_sqlite_file_is_503(tmp_path: Path) -> None:
    path = tmp_path / "rollcall.db"
    async with run_service(f"sqlite:///{path}") as service, administrator(service) as client:
        async with service.database.read() as connection:
            await connection.execute(
                text("PRAGMA busy_timeout = 0")
            )  # the only connection of the pool so far
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        problem_of(await client.post("/learners", json={"username": "x"}), 503, "database-unavailable")
        assert (await client.get("/learners")).json()["items"] == []
        other.execute("ROLLBACK")
        other.close()
        assert (await client.post("/learners", json={"username": "x"})).status_code == 201
