"""The example program of a nightly import: what it sends again, and how it ends."""

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

PROGRAM = Path(__file__).parents[2] / "examples" / "nightly_import.py"
OPERATION: dict[str, Any] = {
    "id": "op",
    "state": "succeeded",
    "counts": {"changed": 1},
    "warnings": [],
    "problem": None,
}
Answer = httpx.Response | Exception


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> dict[str, Any]:
    """The names of the program, of which only the clock does not wait."""
    monkeypatch.setenv("ROLLCALL_URL", "http://rollcall.test")
    monkeypatch.setenv("ROLLCALL_KEY", "rollcall_key")
    names = runpy.run_path(str(PROGRAM))
    names["repeat"].__globals__["time"] = SimpleNamespace(sleep=slept.append)
    return names


def answering(*answers: Answer) -> Callable[[], httpx.Response]:
    """A call that gives these answers one after the other."""
    left = iter(answers)

    def call() -> httpx.Response:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


def test_lost_connections_and_busy_answers_are_repeated(program: dict[str, Any], slept: list[float]) -> None:
    accepted = httpx.Response(202, headers={"Retry-After": "1"})
    call = answering(
        httpx.ConnectError("refused"),
        httpx.Response(503, headers={"Retry-After": "7"}),
        httpx.Response(409, headers={"Retry-After": "2"}),
        accepted,
    )

    assert program["repeat"](call) is accepted
    assert slept == [2.0, 7.0, 2.0]


def test_refusal_is_answered_at_once(program: dict[str, Any], slept: list[float]) -> None:
    refusal = httpx.Response(422)

    assert program["repeat"](answering(refusal)) is refusal
    assert slept == []


def test_lost_connection_is_raised_after_the_last_attempt(program: dict[str, Any]) -> None:
    with pytest.raises(httpx.ConnectError):
        program["repeat"](answering(*[httpx.ConnectError("refused")] * 8))


def run(program: dict[str, Any], tmp_path: Path, answer: Callable[[httpx.Request], httpx.Response]) -> int:
    """Import a file of one row from a service that answers like this; the exit status."""
    roster = tmp_path / "roster.csv"
    roster.write_text("Username\nada\n", encoding="utf-8")
    main = program["main"]

    def client(**options: Any) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(answer), **options)

    main.__globals__["httpx"] = SimpleNamespace(
        Client=client, TransportError=httpx.TransportError, HTTPStatusError=httpx.HTTPStatusError
    )
    status: int = main(str(roster), "missing=deactivate")
    return status


def test_import_is_followed_and_every_page_of_rejects_is_printed(
    program: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = []

    def answer(request: httpx.Request) -> httpx.Response:
        path, query = request.url.path, request.url.params
        if path == "/imports/csv":
            assert dict(query) == {"reason": "nightly roster", "missing": "deactivate"}
            keys.append(request.headers["Idempotency-Key"])
            return httpx.Response(202, json=OPERATION | {"state": "running"})
        if path == "/operations/op":
            return httpx.Response(200, json=OPERATION)
        assert query.get_list("outcome") == ["refused", "invalid", "not_found"]
        line, following = (2, "next") if "cursor" not in query else (3, None)
        rejected = {"line": line, "outcome": "invalid", "problems": [{"detail": "Wrong."}]}
        return httpx.Response(200, json={"items": [rejected], "next_cursor": following})

    assert run(program, tmp_path, answer) == 1
    assert capsys.readouterr().out.splitlines() == [
        "succeeded {'changed': 1}",
        "line 2: invalid: Wrong.",
        "line 3: invalid: Wrong.",
    ]
    run(program, tmp_path, answer)
    assert keys[0] == keys[1]


@pytest.mark.parametrize("state", ["refused", "failed", "cancelled"])
def test_operation_that_did_not_succeed_ends_with_2(
    program: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    ended = OPERATION | {"state": state, "problem": {"detail": "Too many."}}

    def answer(request: httpx.Request) -> httpx.Response:
        page: dict[str, Any] = {"items": [], "next_cursor": None}
        return httpx.Response(200, json=page if request.url.path.endswith("outcomes") else ended)

    assert run(program, tmp_path, answer) == 2
    assert "Too many." in capsys.readouterr().out


def test_refused_file_ends_with_2_and_its_detail(
    program: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(422, json={"code": "unreadable-csv", "detail": "No columns."})

    assert run(program, tmp_path, answer) == 2
    assert capsys.readouterr().out.endswith("was not imported: No columns.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Usage: nightly_import.py FILE [OPTION=VALUE ...]"),
        (["roster.csv", "dry_run"], "Usage: nightly_import.py FILE [OPTION=VALUE ...]"),
        (["missing.csv"], "Cannot read missing.csv: No such file or directory."),
    ],
)
def test_wrong_arguments_get_a_sentence_and_status_2(
    program: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert program["main"](*arguments) == 2
    assert capsys.readouterr().err.strip() == sentence


def test_missing_key_gets_a_sentence_and_status_2(
    program: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ROLLCALL_KEY")
    assert program["main"]("roster.csv") == 2
    assert capsys.readouterr().err.strip() == "Set ROLLCALL_KEY in the environment."


def test_service_that_is_away_gets_a_sentence_and_status_2(
    program: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    assert run(program, tmp_path, answer) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Rollcall does not answer (connection refused). Trying again in 2 s."
    assert said[-1] == "Rollcall does not answer: connection refused. Nothing more was done."
