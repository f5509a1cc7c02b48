"""A reverse proxy as it should stand before a webhook receiver: who cannot be reached is said to be so with 503."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SECONDS = 8.0


@contextmanager
def proxy(port: int, upstream: int) -> Iterator[Counter[int]]:
    """Run the proxy on loopback, and count its answers by status.

    :param port: where it listens.
    :param upstream: port of the API server.
    """
    answers: Counter[int] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=_SECONDS)
            try:
                connection.request("POST", self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                status, content = answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                # EspoCRM gives up at once what a closed port, or 502, was the answer to.
                status, content = 503, b""
            finally:
                connection.close()
            answers[status] += 1
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
