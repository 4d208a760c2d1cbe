"""The exit status of a command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The first that applies, in this order.

    USAGE: an error in the command line, the inventory or a host's settings; UNKNOWN: a host could
    not be reached, or part of it could not be read; FAILED: a check fails.
    """

    INTERRUPTED = 130
    USAGE = 1
    UNKNOWN = 3
    FAILED = 2
    OK = 0
