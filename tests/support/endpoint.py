"""An endpoint of webhooks in a thread, for tests with real processes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Endpoint:
    """What receives messages: it keeps them, and answers `status` after `seconds`."""

    def __init__(self) -> None:
        self.status = 204
        self.seconds = 0.0
        self.received: list[tuple[dict[str, str], bytes]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.received.append((dict(self.headers), content))
                time.sleep(endpoint.seconds)
                self.send_response(endpoint.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/rollcall"

    @property
    def types(self) -> list[str]:
        return [json.loads(content)["type"] for _, content in self.received]


@contextmanager
def endpoint_of_webhooks() -> Iterator[Endpoint]:
    """A running endpoint."""
    endpoint = Endpoint()
    endpoint.server.daemon_threads = True  # those that wait on a connection which is kept open
    thread = Thread(target=endpoint.server.serve_forever)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.server.shutdown()
        thread.join()
        endpoint.server.server_close()
