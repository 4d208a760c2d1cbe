"""abort.json: a person has asked to end the operation in progress and to undo it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import asdict

from gpuhost.runner.contract import AppPaths, Operation
from gpuhost.runner.lib.files import read_json, write_json
from gpuhost.runner.state import operations


def request(app: AppPaths, operation: Operation, by: str) -> None:
    """Ask for it; whoever carries the operation out, or continues it later, reads this."""
    home = os.open(app.home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Two people may ask at once, and nothing has the lock of the app here.
        fcntl.flock(home, fcntl.LOCK_EX)
        write_json(app.abort, {"of": asdict(operation), "by": by})
    finally:
        os.close(home)


def requested_by(app: AppPaths) -> str:
    """Who has asked for the end of the operation in progress; "": nobody."""
    value = read_json(app.abort)
    operation = operations.begun(app)
    if not value or operation is None or value.get("of") != asdict(operation):
        return ""
    return str(value.get("by") or "somebody")
