"""Prints the next part of a log, and whether its operation is still running."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.state import results
from gpuhost.runner.state.lock import is_locked
from gpuhost.runner.state.operations import begun

PAUSE = 0.2
# Of one answer; the rest is in the next one. More than the longest line of a program (65536
# characters, of 4 bytes each): the middle of a line must not be taken for the beginning of one.
MAX_BYTES = 1 << 19
# A new operation may take this long to start.
START_S = 5.0


def follow(app: AppPaths, release_id: str, offset: int, seconds: float) -> None:
    """Print one JSON line, then the log from `offset` on; wait up to `seconds` for new lines."""
    path = app.operation(release_id).log
    began = time.monotonic()
    deadline = began + seconds
    while True:
        state = _state(app, release_id, is_new=time.monotonic() < began + min(seconds, START_S))
        more = _size(path) > offset
        if more or state != "running" or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    _print(app, release_id, state, offset)


def _print(app: AppPaths, release_id: str, state: str, offset: int) -> None:
    path = app.operation(release_id).log
    chunk = b""
    if _size(path):
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(MAX_BYTES)
    # An incomplete line is left for the next answer, unless it is too long or the operation ended.
    whole = chunk[: chunk.rfind(b"\n") + 1]
    if not whole and (len(chunk) == MAX_BYTES or state == "ended"):
        whole = chunk
    if state == "ended" and offset + len(whole) < _size(path):
        state = "running"
    result = results.read(app.operation(release_id).result) if state == "ended" else None
    operation = begun(app)
    answer = {
        "state": state,
        "offset": offset + len(whole),
        "result": asdict(result) if result else None,
        "holder": asdict(operation) if operation else None,
    }
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.write(whole.decode("utf-8", "replace"))


def _size(path: Path) -> int:
    """0: it is missing, or no regular file: reading a pipe would never end."""
    return path.stat().st_size if path.is_file() else 0


def _state(app: AppPaths, release_id: str, *, is_new: bool) -> str:
    """running, ended, or lost: interrupted and not resumed yet.

    + is_new: its runner may be starting
    """
    operation = begun(app)
    if operation and operation.id == release_id:
        return "running" if is_locked(app) else "lost"
    if results.read(app.operation(release_id).result):
        return "ended"
    if operation and is_locked(app):
        # The host finishes or undoes this one first.
        return "lost"
    return "running" if is_new and app.operation(release_id).home.exists() else "lost"
