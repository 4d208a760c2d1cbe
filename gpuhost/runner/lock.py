"""One release at a time for an app. The kernel gives the lock back, however its holder ends."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from gpuhost.runner.files import write_json
from gpuhost.runner.paths import AppPaths
from gpuhost.runner.shape import from_json


@dataclass(frozen=True)
class Attempt:
    """What is under way."""

    kind: str  # "release" | "rollback" | "restore"
    id: str
    by: str
    started: float

    @property
    def sentence(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.started))
        return f"{self.kind} {self.id} by {self.by}, since {since}"


class Locked(Exception):
    """Somebody else is at it."""

    def __init__(self, holder: Attempt | None) -> None:
        super().__init__(holder.sentence if holder else "somebody else")
        self.holder = holder


@contextmanager
def lock(app: AppPaths) -> Iterator[None]:
    """Raises Locked with whoever holds it."""
    app.home.mkdir(parents=True, exist_ok=True)
    with app.lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(attempt(app)) from None
        yield


def locked(app: AppPaths) -> bool:
    try:
        with lock(app):
            return False
    except Locked:
        return True


def attempt(app: AppPaths) -> Attempt | None:
    """What is under way or was cut off."""
    try:
        return from_json(Attempt, json.loads(app.attempt.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def begin(app: AppPaths, new: Attempt) -> None:
    write_json(app.attempt, asdict(new))


def end(app: AppPaths) -> None:
    app.attempt.unlink(missing_ok=True)
