"""stdin, stdout and stderr, whatever the shell has made of them: closed, a full disk, a pipe that
nobody reads any more. Imported first of all: what is imported next wants to print.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def _open_closed_ones() -> None:
    """`gpuhost … >&-`: the null device, or the next file that is opened would be what is printed
    into."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(handle, True)
            stream = os.fdopen(handle, mode)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


_open_closed_ones()


def say(line: str) -> None:
    """A line on stderr; where that cannot be written there is nobody left to tell."""
    try:
        print(f"gpuhost: {line}", file=sys.stderr, flush=True)
    except OSError:
        give_up(sys.stderr)


def settle() -> None:
    """Write what is left, so that Python has nothing to complain of at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            give_up(stream)


def give_up(stream: TextIO) -> None:
    """What is left for a stream that cannot be written, and what is still to come, goes nowhere."""
    # What is no file of the system has none.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
