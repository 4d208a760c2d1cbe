"""What a viewer asks for: more of a log, and whether anything is still going on."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.state import results
from gpuhost.runner.state.lock import is_locked
from gpuhost.runner.state.operations import unfinished

PAUSE = 0.2
# One answer; the rest comes with the next.
MOST_BYTES = 200_000
# The unit that does the work may be a moment behind.
PATIENCE = 5.0


def follow(app: AppPaths, release_id: str, offset: int, seconds: float) -> None:
    """Print one JSON line, then what the log has beyond `offset`; wait for that so long."""
    path = app.operation(release_id).log
    deadline = time.monotonic() + seconds
    while True:
        state = _state(app, release_id)
        more = path.stat().st_size > offset if path.exists() else False
        if more or state != "running" or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    _print(app, release_id, state, offset)


def _print(app: AppPaths, release_id: str, state: str, offset: int) -> None:
    path = app.operation(release_id).log
    chunk = b""
    if path.exists():
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(MOST_BYTES)
    # A line that is only half written comes with the next answer, unless no answer will hold it or
    # nobody writes the rest.
    whole = chunk[: chunk.rfind(b"\n") + 1]
    if not whole and (len(chunk) == MOST_BYTES or state == "ended"):
        whole = chunk
    if state == "ended" and offset + len(whole) < (path.stat().st_size if path.exists() else 0):
        state = "running"
    result = results.read(app.operation(release_id).result) if state == "ended" else None
    operation = unfinished(app)
    answer = {
        "state": state,
        "offset": offset + len(whole),
        "result": asdict(result) if result else None,
        "holder": asdict(operation) if operation else None,
    }
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.write(whole.decode("utf-8", "replace"))


def _state(app: AppPaths, release_id: str) -> str:
    """running, ended, or lost: cut off, until a runner resumes it."""
    operation = unfinished(app)
    if operation and operation.id == release_id:
        return "running" if is_locked(app) else "lost"
    if results.read(app.operation(release_id).result):
        return "ended"
    # Not begun yet: its runner is being started.
    home = app.operation(release_id).home
    is_new = home.exists() and time.time() - home.stat().st_mtime < PATIENCE
    return "running" if is_new else "lost"
