"""Stand-in for the RSS bridge: a page at PORT, a login, and a SQLite database in data/."""

import os
import signal
import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(200, b"<title>we-mp-rss</title>")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        given = form["username"][0], form["password"][0]
        ok = given == (os.environ.get("USERNAME"), os.environ.get("PASSWORD"))
        self.answer(200 if ok else 401, b"{}")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def init() -> None:
    Path("data").mkdir(exist_ok=True)
    text = "What happened." if os.environ.get("GATHER.CONTENT") == "True" else ""
    with sqlite3.connect(os.environ["DB"].removeprefix("sqlite:///")) as database:
        database.execute("CREATE TABLE IF NOT EXISTS articles (url TEXT PRIMARY KEY, content TEXT)")
        row = ("https://example.com/feed", text)
        database.execute("INSERT OR REPLACE INTO articles VALUES (?, ?)", row)


def serve() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Page).serve_forever()
