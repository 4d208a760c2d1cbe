"""stdin, stdout and stderr, also if they are closed, on a full disk, or a pipe without a reader.
Imported first: later imports may print.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def _open_closed_streams() -> None:
    """`gpuhost … >&-`: open the null device, or output would go into the next file opened."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(handle, True)
            stream = os.fdopen(handle, mode)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


_open_closed_streams()


def say(line: str) -> None:
    """Print a message on stderr; an error in printing it is ignored."""
    try:
        print(f"gpuhost: {line}", file=sys.stderr, flush=True)
    except OSError:
        discard_output(sys.stderr)


def flush_all() -> None:
    """Flush stdout and stderr, so that Python reports no error at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            discard_output(stream)


def discard_output(stream: TextIO) -> None:
    """Discard what is buffered for a broken stream, and all later output."""
    # An object without a file descriptor raises OSError.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
