"""A git server on the loopback interface, like a hosting service: smart HTTP with a password."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BACKEND = "/usr/lib/git-core/git-http-backend"


class Smart(BaseHTTPRequestHandler):
    """Passes a request to git's own CGI program."""

    def __init__(self, root: Path, login: str, *rest: object) -> None:
        self.root, self.login = root, login
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def log_message(self, *_: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        expected = "Basic " + base64.b64encode(self.login.encode()).decode()
        if self.login and self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "REMOTE_USER": "me",
        }
        ended = subprocess.run([BACKEND], input=body, env=environment, stdout=subprocess.PIPE)
        head, _, content = ended.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Refusing(Smart):
    """Its refs are Smart's; a fetch gets an error."""

    words = ""

    def do_POST(self) -> None:
        self._body()
        error = f"ERR {self.words}\n".encode()
        content = b"%04x" % (len(error) + 4) + error
        self.send_response(200)
        self.send_header("Content-Type", self.headers["Accept"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Plain(SimpleHTTPRequestHandler):
    """The files of a repository, unchanged: "dumb" HTTP."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def smart(root: Path, login: str = "") -> Iterator[str]:
    """Repositories under a directory, over HTTP; login: the "user:password" it requires."""
    with _served(partial(Smart, root, login)) as address:
        yield address


@contextmanager
def refusing(root: Path, words: str) -> Iterator[str]:
    kind = type("OfTheseWords", (Refusing,), {"words": words})
    with _served(partial(kind, root, "")) as address:
        yield address


@contextmanager
def plain(root: Path) -> Iterator[str]:
    with _served(partial(Plain, directory=str(root))) as address:
        yield address


@contextmanager
def _served(handler: object) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
