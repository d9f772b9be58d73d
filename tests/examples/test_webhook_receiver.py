"""The example receiver of webhooks: it believes only what is signed, and prints a message once."""

import json
import runpy
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import HTTPServer
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from app.webhooks.webhook import new_signing_secret

PROGRAM = Path(__file__).parents[2] / "examples" / "webhook_receiver.py"
SECRET = new_signing_secret()
CONTENT = json.dumps({"type": "learner.deactivated", "data": {"version": 2}})


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the receiver listens."""
    monkeypatch.setenv("SECRET", SECRET)
    receiver = runpy.run_path(str(PROGRAM))["Receiver"]
    with HTTPServer(("127.0.0.1", 0), receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def send(address: str, message_id: str, secret: str = SECRET) -> int:
    """Send the message, signed with this secret; the status of the answer."""
    now = datetime.now(UTC)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, now, CONTENT),
    }
    return httpx.post(address, content=CONTENT, headers=headers).status_code


def test_signed_message_is_printed_once(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(address, "msg_1") == 204
    assert send(address, "msg_1") == 204

    assert capsys.readouterr().out == "learner.deactivated {'version': 2}\n"


def test_message_with_another_signature_is_400(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(address, "msg_1", new_signing_secret()) == 400

    assert capsys.readouterr().out == ""
