"""The exit status of a command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit status of `gpuhost check`: the first that applies, in this order."""

    INTERRUPTED = 130
    USAGE = 1
    UNKNOWN = 3
    FAILED = 2
    OK = 0
