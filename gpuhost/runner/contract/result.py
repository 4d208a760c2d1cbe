"""result.json: how a release, a rollback or a restore ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from gpuhost.runner.contract.decode import lenient
from gpuhost.runner.contract.operation import RELEASE, Operation

VERIFIED = "verified"
# It failed before a change: the previous release still runs.
FAILED = "failed"
# It failed after a change; the previous release is restored and verified again.
RESTORED = "restored"
# It failed without a previous release: everything that it started is stopped.
UNDONE = "undone"
# It failed after a change, and the previous release could not be restored.
RESTORE_FAILED = "restore-failed"
# The file is damaged.
UNKNOWN = "unknown"
# Lines of a tool or an app, and characters of a text: more is in the log.
MOST_LINES = 60
LONGEST_SAID = 2000


@dataclass(frozen=True)
class Result:
    """How it ended.

    + kind, by: of the operation
    + started, ended: epoch seconds
    + said: what failed, one line
    + output: the last lines of the tool that failed
    + logs: the last lines of the app's log
    + restored: the release that runs again
    + restore_said: why the previous release could not be restored
    + replaced: containers started by hand that the first release removed, in words
    + untouched: containers started by hand that still exist
    + migrated: a migration that may have changed data had begun
    + gap_s: how long the app did not answer
    + took_s: without the time while its host was off; None: of an older gpuhost
    + aborted_by: who ended it with `gpuhost abort`; "": nobody
    """

    id: str
    app: str
    kind: str
    state: str
    by: str
    revision: str
    inputs: str
    started: float
    ended: float
    stage: str = ""
    said: str = ""
    fix: str = ""
    output: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    restored: str | None = None
    restore_said: str = ""
    replaced: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    migrated: bool = False
    backup: str = ""
    gap_s: float | None = None
    took_s: float | None = None
    aborted_by: str = ""

    @classmethod
    def of(cls, operation: Operation, app: str, state: str, **more: Any) -> Result:
        """The result of an operation that ends now. Its texts are masked already."""
        for name in ("output", "logs"):
            more[name] = _bounded(more.get(name, ()))
        for name in ("said", "fix", "restore_said"):
            more[name] = more.get(name, "")[:LONGEST_SAID]
        return cls(
            id=operation.id,
            app=app,
            kind=operation.kind,
            state=state,
            by=operation.by,
            started=operation.started,
            ended=time.time(),
            **{"revision": "", "inputs": "", **more},
        )

    @classmethod
    def lenient(cls, value: object) -> Result:
        """From a file that may be damaged."""
        return lenient(cls, value, kind=RELEASE, state=UNKNOWN)

    @property
    def verified(self) -> bool:
        return self.state == VERIFIED


def _bounded(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line[:LONGEST_SAID] for line in lines[-MOST_LINES:])
