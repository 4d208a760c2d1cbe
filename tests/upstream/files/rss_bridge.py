"""In place of we-mp-rss: what upstream's own main.py of it imports, a page, a login, articles.

It is installed as `uvicorn`, the first module that main.py imports, and makes the others. It also
answers as the language model, which is elsewhere and needs a key.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import parse_qs

SUMMARY = "财政部门下达专项资金一亿元，用于农村道路建设。"
COLUMNS = "(id, mp_id, title, url, description, content, publish_time INTEGER)"


def database() -> sqlite3.Connection:
    path = Path(os.environ["DB"].removeprefix("sqlite:///"))
    path.parent.mkdir(exist_ok=True)
    return sqlite3.connect(path, timeout=10)


def init() -> None:
    """As init_sys: the tables, and the administrator with the password of the environment."""
    with database() as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS articles {COLUMNS}")
        connection.execute("CREATE TABLE IF NOT EXISTS users (name PRIMARY KEY, password)")
        row = (os.environ["USERNAME"], os.environ["PASSWORD"])
        connection.execute("INSERT OR REPLACE INTO users VALUES (?, ?)", row)


def knows(name: str, password: str) -> bool:
    found = "SELECT 1 FROM users WHERE name = ? AND password = ?"
    with database() as connection:
        return connection.execute(found, (name, password)).fetchone() is not None


class Bridge(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(200, b"<title>we-mp-rss</title>", "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path.endswith("/auth/login"):
            form = {name: values[0] for name, values in parse_qs(body).items()}
            ok = knows(form.get("username", ""), form.get("password", ""))
            token = {"data": {"access_token": "token"}} if ok else {"detail": "wrong password"}
            self.json(200 if ok else 401, token)
        elif self.path.endswith("/chat/completions"):
            self.json(200, completion(json.loads(body)["model"]))
        else:
            self.json(404, {"detail": "not found"})

    def json(self, status: int, value: object) -> None:
        self.answer(status, json.dumps(value).encode(), "application/json")

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are not logged."""


def completion(model: str) -> dict[str, object]:
    message = {"role": "assistant", "content": SUMMARY}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    used = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
        "usage": used,
    }


def run(*_: object, port: int, **__: object) -> None:
    ThreadingHTTPServer(("0.0.0.0", port), Bridge).serve_forever()


def setting(name: str, default: object = None) -> object:
    return os.environ.get(name.upper(), default)


def module(name: str, **content: object) -> None:
    made = ModuleType(name)
    made.__dict__.update(content)
    sys.modules[name] = made


arguments = SimpleNamespace(job="False", init="True")
for package in ("core", "driver"):
    module(package, __path__=[])
module("core.config", cfg=SimpleNamespace(args=arguments, get=setting))
module("core.print", print_warning=print)
module("driver.auth")
module("init_sys", init=init)
