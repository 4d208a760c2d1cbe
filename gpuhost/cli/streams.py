"""stdin, stdout and stderr, even if they are closed, on a full disk, or a pipe without a reader.
Imported first: later imports may print.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def _open_closed_ones() -> None:
    """`gpuhost … >&-`: open the null device, or output would go into the next file opened."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(handle, True)
            stream = os.fdopen(handle, mode)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


_open_closed_ones()


def say(line: str) -> None:
    """Print a line on stderr; if that fails, nobody can be told."""
    try:
        print(f"gpuhost: {line}", file=sys.stderr, flush=True)
    except OSError:
        give_up(sys.stderr)


def settle() -> None:
    """Flush stdout and stderr, so that Python reports no error at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            give_up(stream)


def give_up(stream: TextIO) -> None:
    """Discard what is buffered for a broken stream, and all later output."""
    # An object without a file descriptor has none.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
