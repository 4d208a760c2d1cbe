"""attempt.json: the operation in progress on an app, or an interrupted one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gpuhost.runner.contract.decode import lenient

RELEASE, ROLLBACK, RESTORE, REMOVE = "release", "rollback", "restore", "remove"


@dataclass(frozen=True)
class Operation:
    """An operation that has begun and not ended.

    + kind: RELEASE, ROLLBACK, RESTORE or REMOVE
    + id: a release's; of a restore, the backup's name; of a removal ""
    + by: user@machine; "": unknown
    + started: epoch seconds; 0: unknown
    """

    kind: str
    id: str
    by: str
    started: float

    @classmethod
    def lenient(cls, value: object) -> Operation:
        """From a file that may be damaged."""
        return lenient(cls, value, kind=RELEASE)

    @property
    def sentence(self) -> str:
        """ "release 20261122-010203-aabbccdd by ann@desk, since 2026-11-22 01:02:03 UTC"."""
        words = " ".join(filter(None, (self.kind, self.id, self.by and f"by {self.by}")))
        if not self.started:
            return words
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.started))
        return f"{words}, since {since}"
