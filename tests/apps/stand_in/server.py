"""A small service with the shape of a real one: it loads, gets healthy, keeps rows, makes a file.

How it behaves is in stand-in.json beside it, which is part of the image, so that a release with
another behaviour is another build. Python's standard library only. Apps whose rows are elsewhere
than in SQLite derive a handler from the one here.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
HOW = json.loads((HERE / "stand-in.json").read_text())
# exit, loop, oom, fatal, never-healthy, function: what is wrong with this release.
BROKEN = HOW.get("broken")
READY = threading.Event()


def say(line: str) -> None:
    print(line, flush=True)


def load() -> None:
    """As an app that loads a model: for a while it listens, and is not healthy."""
    if BROKEN == "oom":
        hog = []
        while True:
            hog.append(bytearray(8_000_000))
    say(HOW.get("says_loading", "Loading model..."))
    time.sleep(HOW.get("loads_s", 1))
    if BROKEN == "fatal":
        say("PrismaClientInitializationError: the schema is not that of this release")
        return
    if BROKEN != "never-healthy":
        say(HOW.get("says_ready", "Model loaded successfully"))
        READY.set()


def database() -> sqlite3.Connection:
    connection = sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("file:"), timeout=10)
    connection.execute("CREATE TABLE IF NOT EXISTS rows (text TEXT)")
    return connection


class Handler(BaseHTTPRequestHandler):
    """Health, rows, and what the app is for."""

    health_path = "/api/health"

    def health(self) -> dict[str, object]:
        return {"status": "healthy"}

    def rows(self) -> list[str]:
        with database() as connection:
            return [row[0] for row in connection.execute("SELECT text FROM rows")]

    def keep(self, text: str) -> None:
        with database() as connection:
            connection.execute("INSERT INTO rows VALUES (?)", (text,))

    def get(self) -> object:
        """What an app answers to paths of its own; None: this is none of them."""
        return None

    def post(self, body: str) -> object:
        """Likewise."""
        return None

    def do_GET(self) -> None:
        if (own := self.get()) is not None:
            self.answer(200, own)
        elif self.path == HOW.get("health", self.health_path):
            self.answer(200, {"revision": HOW.get("revision", 1), **self.health()}) if (
                READY.is_set()
            ) else self.answer(503, {"status": "loading"})
        elif self.path == "/rows":
            self.answer(200, self.rows())
        elif self.path == "/environment":
            # Only lengths: what a test wants to know is whether a secret arrived whole.
            self.answer(200, {key: len(value) for key, value in os.environ.items()})
        elif self.path.startswith("/made/"):
            self.send(200, b"RIFF" + bytes(4000), "audio/wav")
        else:
            self.answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if (own := self.post(body.decode())) is not None:
            self.answer(200, own)
        elif self.path == "/rows":
            self.keep(body.decode())
            self.answer(201, {})
        elif self.path == HOW.get("makes", "/api/tts"):
            if BROKEN == "function":
                self.answer(500, {"error": "synthesis failed: no such voice af_heart"})
            else:
                self.answer(200, {HOW.get("names", "audioUrl"): "/made/one.wav"})
        else:
            self.answer(404, {"error": "not found"})

    def answer(self, status: int, value: object) -> None:
        self.send(status, json.dumps(value).encode(), "application/json")

    def send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are not logged."""


def main(handler: type[Handler] = Handler, port: int = 3000) -> None:
    # As the first process of a container it would not end otherwise.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if BROKEN in ("exit", "loop"):
        say("Error: listen EADDRNOTAVAIL: address not available")
        sys.exit(1)
    if HOW.get("logs"):
        with Path(HOW["logs"]).open("a") as file:
            file.write("started\n")
    threading.Thread(target=load).start()
    port = int(os.environ.get("PORT", HOW.get("port", port)))
    ThreadingHTTPServer(("0.0.0.0", port), handler).serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["card"]:
        # Stand-in for torch.cuda.is_available(): a card is seen, and this release uses it.
        seen = subprocess.run(["nvidia-smi"], capture_output=True).returncode == 0
        sys.exit(0 if seen and BROKEN != "cpu" else 1)
    main()
