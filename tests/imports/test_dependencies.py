"""How a CSV comes in: plain or as a form, what its Content-Type says, and how large it may be."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Request

from app.imports.dependencies import receive_json_upload, receive_upload
from app.platform.problems import UNSUPPORTED_MEDIA_TYPE, Problem
from tests.support.answers import pointers, problem
from tests.support.service import Api, run_service
from tests.support.stored import all_learners, count_stages, follow

pytestmark = pytest.mark.anyio

ROSTER = "Username,First Name\na,Zoë\n"
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=here"}


async def post(api: Api, content: str | bytes, content_type: str | None) -> httpx.Response:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return await api.client.post("/imports/csv", content=content, headers=headers)


async def test_a_body_or_a_forms_part_is_a_file(api: Api) -> None:
    plain = await post(api, ROSTER, "text/csv")
    form = await api.client.post("/imports/csv", files={"file": ("roster.csv", ROSTER.encode(), "text/csv")})

    assert plain.json()["counts"]["created"] == 1
    assert form.json()["counts"]["unchanged"] == 1
    assert (await all_learners(api))["a"]["first_name"] == "Zoë"


async def test_the_part_of_a_form_needs_no_filename(api: Api) -> None:
    encoded = ROSTER.encode("iso-8859-15")
    large = ROSTER + "".join(f"u{number},{'x' * 250}\n" for number in range(4500))
    for part in (
        (None, ROSTER.encode()),
        ("", ROSTER.encode(), "text/csv"),
        (None, encoded, "text/csv; charset=iso-8859-15"),
        (None, large),  # beyond what the framework takes for a field
    ):
        answer = await api.client.post("/imports/csv", files={"file": part}, params={"dry_run": True})

        assert answer.status_code == 200, answer.text
        assert answer.json()["warnings"] == []
    await api.client.post("/imports/csv", files={"file": (None, encoded, "text/csv; charset=iso-8859-15")})
    assert (await all_learners(api))["a"]["first_name"] == "Zoë"


async def test_a_form_may_be_larger_than_what_is_kept_in_memory(api: Api) -> None:
    rows = "".join(f"u{number},{'x' * 250}\n" for number in range(4500))
    assert len(rows) > 1024 * 1024

    form = await api.client.post(
        "/imports/csv",
        files={"file": ("roster.csv", f"Username,Note\n{rows}", "text/csv")},
        params={"dry_run": True},
    )
    plain = await api.client.post(
        "/imports/csv",
        content=f"Username,Note\n{rows}",
        params={"dry_run": True},
        headers={"Content-Type": "text/csv"},
    )

    assert form.json()["counts"] == plain.json()["counts"]
    assert form.json()["counts"]["created"] == 4500


@pytest.mark.parametrize(
    "content_type", ["text/csv", "TEXT/CSV; header=present", "application/csv", "text/plain; charset=utf-8"]
)
async def test_several_csv_media_types_are_accepted(api: Api, content_type: str) -> None:
    answer = await post(api, ROSTER, content_type)

    assert answer.json()["counts"]["created"] == 1


async def test_any_other_kind_of_body_is_refused(api: Api) -> None:
    for content_type in (
        None,
        "application/json",
        "application/octet-stream",
        "application/vnd.ms-excel",
        ";",
        "csv",
        'text/csv; charset="utf-8',
        "text/csv; charset=utf-8; charset=utf-16",
        "text/csv, text/csv",
        'text/csv;"' + ";" * 64_000,
        "text/csv;" + '"' * 64_001,
        "multipart/form-data; boundary=x" + ";a" * 64_000,
    ):
        answer = await post(api, ROSTER, content_type)

        assert "text/csv" in problem(answer, 415, "unsupported-media-type")["detail"], content_type
        assert len(answer.text) < 1000
        assert answer.headers["Accept"] == "text/csv, multipart/form-data"
    assert await all_learners(api) == {}
    assert await follow(api.client, "/operations") == []


async def test_the_charset_of_a_body_names_its_encoding(api: Api) -> None:
    answer = await post(api, ROSTER.encode("cp1252"), 'text/csv; charset="Windows-1252"')

    assert (answer.json()["counts"]["created"], answer.json()["warnings"]) == (1, [])
    assert (await all_learners(api))["a"]["first_name"] == "Zoë"


async def test_the_charset_of_a_forms_part_names_its_encoding(api: Api) -> None:
    part = ("roster.csv", ROSTER.encode("iso-8859-15"), "text/csv; charset=iso-8859-15")
    answer = await api.client.post("/imports/csv", files={"file": part})

    assert (answer.json()["counts"]["created"], answer.json()["warnings"]) == (1, [])
    assert (await all_learners(api))["a"]["first_name"] == "Zoë"


async def test_a_charset_that_the_bytes_are_not_in_is_an_unreadable_file(api: Api) -> None:
    refusal = problem(
        await post(api, ROSTER.encode("cp1252"), "text/csv; charset=utf-8"), 422, "unreadable-csv"
    )

    assert refusal["line"] == 2
    assert await all_learners(api) == {}


async def test_the_querys_encoding_wins_over_the_charset(api: Api) -> None:
    answer = await api.client.post(
        "/imports/csv",
        content=ROSTER.encode("cp1252"),
        params={"encoding": "windows-1252"},
        headers={"Content-Type": "text/csv; charset=utf-8"},
    )

    assert answer.json()["counts"]["created"] == 1


@pytest.mark.parametrize("charset", ["punycode", "undefined", "idna", "unicode_escape", "base64", "utf-16"])
async def test_charset_of_a_form_is_not_used(api: Api, charset: str) -> None:
    form = b'--here\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n--here--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=here; charset={charset}"}
    other = await api.client.post("/imports/csv", content=form % (b"other", b"a" * 400_000), headers=headers)
    file = await api.client.post("/imports/csv", content=form % (b"file", ROSTER.encode()), headers=headers)

    assert "'other'" in problem(other, 422, "invalid-request")["detail"]
    assert file.json()["counts"]["created"] == 1
    assert (await all_learners(api))["a"]["first_name"] == "Zoë"


@pytest.mark.parametrize("charset", ["punycode", "undefined", "idna", "unicode_escape", "base64", "rot13"])
async def test_charset_that_is_no_encoding_of_rosters_is_an_invalid_request(api: Api, charset: str) -> None:
    plain = await post(api, ROSTER, f"text/csv; charset={charset}")
    part = ("roster.csv", ROSTER.encode(), f"text/csv; charset={charset}")
    form = await api.client.post("/imports/csv", files={"file": part})

    for answer in (plain, form):
        assert pointers(problem(answer, 422, "invalid-request")) == ["header:Content-Type"]


async def test_same_bytes_in_another_charset_are_another_request(api: Api) -> None:
    content = ROSTER.encode("cp1252")

    async def send(content_type: str) -> httpx.Response:
        headers = {"Content-Type": content_type, "Idempotency-Key": "nightly"}
        return await api.client.post("/imports/csv", content=content, headers=headers)

    first = await send("text/csv; charset=cp1252")
    again = await send("text/csv; charset=cp1252")
    other = await send("text/csv; charset=iso-8859-2")

    assert first.status_code == 200
    assert again.headers["Idempotent-Replayed"] == "true"
    problem(other, 422, "idempotency-key-reused")


async def test_an_unknown_charset_is_an_invalid_request_that_points_to_the_header(api: Api) -> None:
    refusal = problem(await post(api, ROSTER, "text/csv; charset=klingon"), 422, "invalid-request")

    assert "'klingon'" in refusal["detail"]
    assert pointers(refusal) == ["header:Content-Type"]
    assert await count_stages(api.service.database) == 0


async def test_a_form_has_exactly_one_file_of_the_right_name(api: Api) -> None:
    roster = ("roster.csv", ROSTER, "text/csv")
    for form in (
        {"files": {"roster": roster}},
        {"files": [("file", roster), ("file", roster)]},
        {"files": [("file", roster), ("more", roster)]},
        {"files": {"file": roster}, "data": {"dry_run": "true"}},
        {"files": [("file", (None, ROSTER)), ("file", (None, ROSTER))]},
        {"files": [("file", (None, ROSTER)), ("more", (None, "x"))]},
        {"files": {"": roster}},
        {"files": [(f"f{number}", roster) for number in range(5)]},
        {"files": {"file": roster}, "data": {f"f{number}": "" for number in range(20)}},
        {"content": b"--here--\r\n", "headers": BOUNDARY},
    ):
        answer = await api.client.post("/imports/csv", **form)

        problem(answer, 422, "invalid-request")
    assert await all_learners(api) == {}
    assert await follow(api.client, "/operations") == []


async def test_option_in_the_form_is_refused_with_advice_to_use_the_query(api: Api) -> None:
    answer = await api.client.post(
        "/imports/csv", files={"file": ("roster.csv", ROSTER)}, data={"dry_run": "true"}
    )

    refusal = problem(answer, 422, "invalid-request")
    assert "'dry_run'" in refusal["detail"]
    assert "query" in refusal["detail"]


async def test_a_broken_form_is_an_invalid_request(api: Api) -> None:
    for content in (b"Username\na\n", b"--here", b"", b"--there\r\n\r\n"):
        answer = await api.client.post("/imports/csv", content=content, headers=BOUNDARY)
        problem(answer, 422, "invalid-request")
    answer = await post(api, b"--here--", "multipart/form-data")
    problem(answer, 422, "invalid-request")
    assert await all_learners(api) == {}


async def test_a_form_that_breaks_off_within_the_file_is_not_imported(api: Api) -> None:
    part = b'--here\r\nContent-Disposition: form-data; name="file"; filename="r.csv"\r\n\r\nUsername\r\na'

    problem(await api.client.post("/imports/csv", content=part, headers=BOUNDARY), 422, "invalid-request")
    assert await all_learners(api) == {}


async def test_a_file_beyond_the_limit_is_refused_whatever_length_it_announces(database_url: str) -> None:
    async with run_service(database_url, max_import_bytes=2000) as service:
        organization = await service.found_organization()
        async with service.client(await service.issue_key(organization)) as client:
            fits = "Username\n" + "x" * 100 + "\n"

            async def stream() -> AsyncIterator[Any]:
                for _ in range(30):
                    yield fits.encode()

            announced = await client.post(
                "/imports/csv", content=fits * 30, headers={"Content-Type": "text/csv"}
            )
            streamed = await client.post(
                "/imports/csv", content=stream(), headers={"Content-Type": "text/csv"}
            )
            form = await client.post("/imports/csv", files={"file": ("roster.csv", fits * 30)})
            small = await client.post("/imports/csv", content=fits, headers={"Content-Type": "text/csv"})
            operations = await follow(client, "/operations")

    for answer in (announced, streamed, form):
        assert "2,000 bytes" in problem(answer, 413, "payload-too-large")["detail"]
    assert small.status_code == 200
    assert len(operations) == 1


# File names


def request_with(api: Api, body: bytes, query: str = "", **headers: str) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": query.encode(), "headers": fields}
    return Request(scope | {"app": api.service.app}, receive)


FORM = b'--here\r\nContent-Disposition: form-data; name="file"%b\r\n\r\nUsername\r\n--here--\r\n'


@pytest.mark.parametrize(
    ("part", "query", "name"),
    [
        (b"", "", None),
        (b'; filename=""', "", None),
        (b'; filename="roster.csv"', "", "roster.csv"),
        ('; filename="Übersicht.csv"'.encode(), "", "Übersicht.csv"),
        (rb'; filename="C:\export\roster.csv"', "", "roster.csv"),
        (b'; filename="roster.csv"', "file_name=other.csv", "other.csv"),
        (b"", "file_name=..%2F%E2%82%ac.csv", "€.csv"),
    ],
)
async def test_form_names_its_file(api: Api, part: bytes, query: str, name: str | None) -> None:
    request = request_with(
        api,
        FORM % part,
        query,
        content_type="multipart/form-data; boundary=here",
        content_disposition="attachment; filename=of-the-whole.csv",
    )
    async with receive_upload(request, api.organization.id) as upload:
        assert upload.file_name == name
        assert upload.file.read() == b"Username"


@pytest.mark.parametrize(
    ("disposition", "query", "name"),
    [
        ("attachment; filename=roster.csv", "", "roster.csv"),
        ("attachment; filename*=UTF-8''%e2%82%ac.csv; filename=x.csv", "", "€.csv"),
        ("attachment; filename=roster.csv", "file_name=other.csv", "other.csv"),
        ("attachment;" + '"' * 64_000, "", None),
    ],
)
async def test_body_names_its_file(api: Api, disposition: str, query: str, name: str | None) -> None:
    request = request_with(
        api, b"Username\n", query, content_type="text/csv", content_disposition=disposition
    )
    async with receive_upload(request, api.organization.id) as upload:
        assert upload.file_name == name


# JSON


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=UTF-8", "application/x-ndjson", "application/jsonl"],
)
async def test_json_is_received(api: Api, content_type: str) -> None:
    request = request_with(api, b"{}\n", content_type=content_type)
    async with receive_json_upload(request, api.organization.id) as upload:
        assert upload.media_type == content_type.partition(";")[0]


@pytest.mark.parametrize(
    "content_type",
    ["", "text/csv", "multipart/form-data; boundary=x", "application/json; charset=utf-16", "a;b"],
)
async def test_body_that_is_not_json_is_refused(api: Api, content_type: str) -> None:
    request = request_with(api, b"{}\n", content_type=content_type)

    with pytest.raises(Problem) as refused:
        async with receive_json_upload(request, api.organization.id):
            pass

    assert refused.value.type is UNSUPPORTED_MEDIA_TYPE
    assert refused.value.headers == {"Accept": "application/json, application/x-ndjson"}


async def test_json_and_lines_of_json_are_different_requests(api: Api) -> None:
    hashes = set()
    for content_type in ("application/json", "application/x-ndjson"):
        request = request_with(api, b"{}\n", content_type=content_type)
        async with receive_json_upload(request, api.organization.id) as upload:
            hashes.add(upload.content_hash)

    assert len(hashes) == 2
