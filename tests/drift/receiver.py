"""An HTTP server on loopback that accepts notifications, refuses them, or hangs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "t0ken-of-the-test"


@dataclass
class Receiver:
    """port: where it listens. got: the received messages, parsed."""

    port: int
    got: list[dict[str, Any]] = field(default_factory=list)

    def url(self, path: str = "ok") -> str:
        """path: ok, refuse (500), hang (no answer), drip (a byte now and then, without end)"""
        return f"json://ada:{TOKEN}@127.0.0.1:{self.port}/{path}/{TOKEN}"


@contextmanager
def receiving() -> Iterator[Receiver]:
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            behaviour = self.path.split("/")[1]
            if behaviour == "hang":
                done.wait(60)
            elif behaviour == "drip":
                self._drip()
            elif behaviour == "refuse":
                self.send_error(500, f"no {TOKEN}")
            else:
                receiver.got.append(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _drip(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            until = time.monotonic() + 60
            while time.monotonic() < until and not done.wait(0.5):
                self.wfile.write(b"X: y\r\n")

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            # The client may have timed out.
            with suppress(OSError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        done.set()
        server.shutdown()
        server.server_close()
