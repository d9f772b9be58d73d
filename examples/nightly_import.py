"""Imports the roster of an HR system every night: safe to repeat, and clear about what was not applied.

    ROLLCALL_URL=https://rollcall.example.org ROLLCALL_KEY=rollcall_… python examples/nightly_import.py roster.csv

It needs httpx and a key with the scope learners:bulk. Options after the file go into the query, such as
missing=deactivate or max_deactivations=5%. If Rollcall does not answer, it tries again for about three minutes. Exit
status: 0 all rows were applied, 1 some were not, 2 the import was refused or failed, or could not be started.
"""

# ruff: noqa: INP001, T201  a script by itself, and printing is what it does

import hashlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx

ATTEMPTS = 8
TRY_AGAIN = (408, 429, 500, 502, 503, 504)
NOT_APPLIED = ["refused", "invalid", "not_found"]


def repeat(call: Callable[[], httpx.Response]) -> httpx.Response:
    """Call until there is an answer that is worth having: again after a lost connection, 408, 429 or 503."""
    for attempt in range(1, ATTEMPTS + 1):
        seconds = float(min(60, 2**attempt))
        try:
            answer = call()
        except httpx.TransportError as error:
            if attempt == ATTEMPTS:
                raise
            print(f"Rollcall does not answer ({error}). Trying again in {seconds:.0f} s.", file=sys.stderr)
        else:
            # 409 with Retry-After: another run of this program sent the same file, and it is being stored.
            is_repeatable = answer.status_code in TRY_AGAIN or "Retry-After" in answer.headers
            if answer.is_success or not is_repeatable:
                return answer
            seconds = float(answer.headers.get("Retry-After", seconds))
        time.sleep(seconds)
    return answer


def main(*arguments: str) -> int:
    """Import the file that the arguments name, and say in a sentence if that cannot be done."""
    path, *options = arguments or ("",)
    if not path or not all("=" in option for option in options):
        print("Usage: nightly_import.py FILE [OPTION=VALUE ...]", file=sys.stderr)
        return 2
    lacking = [name for name in ("ROLLCALL_URL", "ROLLCALL_KEY") if not os.environ.get(name)]
    if lacking:
        print(f"Set {' and '.join(lacking)} in the environment.", file=sys.stderr)
        return 2
    try:
        return import_roster(path, Path(path).read_bytes(), options)
    except OSError as error:
        print(f"Cannot read {path}: {error.strerror}.", file=sys.stderr)
    except httpx.TransportError as error:
        print(f"Rollcall does not answer: {error}. Nothing more was done.", file=sys.stderr)
    except httpx.HTTPStatusError as error:
        print(f"Rollcall refused: {error.response.json()['detail']}", file=sys.stderr)
    return 2


def import_roster(path: str, content: bytes, options: Sequence[str]) -> int:
    """Send the file, wait for the operation to end, and print what was not applied."""
    # The same file with the same options on the same day is the same request, however often this is run.
    request_hash = hashlib.sha256(repr(tuple(options)).encode() + content).hexdigest()
    headers = {
        "Content-Type": "text/csv",
        "Idempotency-Key": f"roster-{datetime.now(UTC).date().isoformat()}-{request_hash}",
    }
    query = {"reason": "nightly roster"} | dict(option.split("=", 1) for option in options)
    credential = {"Authorization": f"Bearer {os.environ['ROLLCALL_KEY']}"}
    with httpx.Client(base_url=os.environ["ROLLCALL_URL"], headers=credential, timeout=120) as rollcall:
        answer = repeat(lambda: rollcall.post("/imports/csv", params=query, content=content, headers=headers))
        if answer.is_error:
            print(f"{path} was not imported: {answer.json()['detail']}")
            return 2
        address = f"/operations/{answer.json()['id']}"
        operation = repeat(lambda: rollcall.get(address)).raise_for_status().json()
        while operation["state"] in ("pending", "running"):
            time.sleep(2)
            operation = repeat(lambda: rollcall.get(address)).raise_for_status().json()

        print(operation["state"], operation["counts"])
        for warning in operation["warnings"]:
            print(f"warning: {warning['detail']}")
        if operation["problem"] is not None:
            print(operation["problem"]["detail"])
        not_applied = 0
        cursor = {}
        while cursor is not None:
            page = {"outcome": NOT_APPLIED, "limit": 1000, **cursor}
            outcomes = repeat(lambda: rollcall.get(f"{address}/outcomes", params=page))  # noqa: B023
            for each in outcomes.raise_for_status().json()["items"]:
                not_applied += 1
                details = " ".join(problem["detail"] for problem in each["problems"])
                print(f"line {each['line']}: {each['outcome']}: {details}")
            following = outcomes.json()["next_cursor"]
            cursor = None if following is None else {"cursor": following}
    if operation["state"] != "succeeded":
        return 2
    return 1 if not_applied else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
