"""Stand-in for the RSS bridge: a page at PORT, and a SQLite database in data/."""

import os
import signal
import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<title>we-mp-rss</title>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Path("data").mkdir(exist_ok=True)
    with sqlite3.connect(os.environ["DB"].removeprefix("sqlite:///")) as database:
        database.execute("CREATE TABLE IF NOT EXISTS feeds (url TEXT)")
        database.execute("INSERT INTO feeds VALUES ('https://example.com/feed')")
    ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Page).serve_forever()
