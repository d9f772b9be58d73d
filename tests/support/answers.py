"""Answers of the service as the tests read them."""

from typing import Any

import httpx


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The document of a refusal, which has to be this problem."""
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (document["code"], document["status"]) == (code, status)
    assert document["type"] == f"/problems/{code}"
    assert document["instance"] == answer.headers["X-Request-ID"]
    return document


def pointers(document: dict[str, Any]) -> list[str]:
    """What a problem points to."""
    return [error["pointer"] for error in document["errors"]]
