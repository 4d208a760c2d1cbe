"""The status of a host: the same words in every command, on screen, in JSON and in metrics."""

from __future__ import annotations

from enum import Enum


class HostStatus(str, Enum):
    """Worst first.

    unreachable: no connection or no login; error: its settings are invalid, or part of it could not
    be read; fail: a check fails; drift: it has changed since it was provisioned; pending: the next
    deploy changes it; ok: as declared.
    """

    UNREACHABLE = "unreachable"
    ERROR = "error"
    FAIL = "fail"
    DRIFT = "drift"
    PENDING = "pending"
    OK = "ok"
