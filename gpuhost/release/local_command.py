"""Commands on this machine: without input, and killed with their children after a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO

# A killed process that waits for a disk needs time to end.
KILL_SECONDS = 5
# Bytes. A repository can list any number of files.
MOST_OUTPUT = 64 << 20
PIECE = 1 << 16


class LocalCommandError(Exception):
    """A command could not be started or did not end; the message says why."""


@dataclass(frozen=True)
class Completed:
    """A command that ended by itself. out may be a secret, so repr() leaves it out."""

    status: int
    out: bytes = field(repr=False)
    err: str


def run_local(
    command: Sequence[str],
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Completed:
    """Run a command until it ends.

    + environment: added to this process's own

    Raises LocalCommandError.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise LocalCommandError(f"command {command[0]} not found on this machine") from None
    except OSError as error:
        raise LocalCommandError(f"{command[0]} cannot be run: {error.strerror}") from None
    except ValueError:
        raise LocalCommandError(
            f"{command[0]} cannot be run: it contains a NUL character"
        ) from None
    out, err = _read(process, seconds)
    return Completed(process.returncode, out, err.decode("utf-8", "replace").strip())


def _read(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes]:
    """What it prints until it ends. Raises LocalCommandError."""
    deadline = time.monotonic() + seconds
    assert process.stdout is not None
    assert process.stderr is not None
    readers = _Reader(process.stdout), _Reader(process.stderr)
    try:
        for reader in readers:
            # It ends with the command and its children, or when too much was read.
            reader.join(max(0.0, deadline - time.monotonic()))
            if reader.is_too_much:
                raise LocalCommandError(f"it printed more than {MOST_OUTPUT >> 20} MB")
        process.wait(max(0.0, deadline - time.monotonic()))
        if any(reader.is_alive() for reader in readers):
            raise subprocess.TimeoutExpired(process.args, seconds)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise LocalCommandError(f"no result within {seconds:.0f} s") from None
    except BaseException:
        _kill(process)
        raise
    process.stdout.close()
    process.stderr.close()
    return readers[0].content, readers[1].content


class _Reader(Thread):
    """Reads a pipe to its end, or until it is too much."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._pieces: list[bytes] = []
        self.is_too_much = False
        self.start()

    def run(self) -> None:
        length = 0
        # A killed command's pipe is closed.
        with suppress(OSError, ValueError):
            while piece := os.read(self._pipe.fileno(), PIECE):
                self._pieces.append(piece)
                length += len(piece)
                if length > MOST_OUTPUT:
                    self.is_too_much = True
                    return

    @property
    def content(self) -> bytes:
        return b"".join(self._pieces)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        # A child in its own session survives, and would keep them open.
        if pipe:
            pipe.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(KILL_SECONDS)
