"""Receives webhooks, verifies their signatures and prints them.

Start it with the webhook's secret:

    SECRET=whsec_… python examples/webhook_receiver.py

It needs `pip install standardwebhooks` and listens on http://127.0.0.1:9000/, or on another PORT.
"""

# ruff: noqa: INP001, T201  a script by itself, and printing is what it does

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["SECRET"])
seen: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to a message with a good signature, and 400 to any other."""

    def do_POST(self) -> None:
        """Receive one message. The same message can come more than once, so its id is checked."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            message = webhook.verify(content, dict(self.headers))
        except WebhookVerificationError:
            self.answer(400)
            return
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            print(message["type"], message["data"], flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        """Answer with this status and no body."""
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing but messages."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver).serve_forever()
