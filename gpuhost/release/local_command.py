"""Commands on this machine: never asked anything, ended with their children when time is up."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# How long a killed process may take: one that waits for a disk does not end at once.
ENDING_SECONDS = 5


class NotRun(Exception):
    """A command could not be started or did not end; the message says why in a few words."""


@dataclass(frozen=True)
class Ended:
    """A command that ended by itself. out may be a secret and has no repr."""

    status: int
    out: bytes = field(repr=False)
    err: str


def run_here(
    command: Sequence[str],
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Ended:
    """Run it to its end.

    + environment: beside this process's own

    Raises NotRun.
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
        raise NotRun(f"there is no command {command[0]} on this machine") from None
    except OSError as error:
        raise NotRun(f"{command[0]} cannot be run: {error.strerror}") from None
    except ValueError:
        raise NotRun(f"{command[0]} cannot be run: a NUL character is in it") from None
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        raise NotRun(f"it did not end within {seconds:.0f} s") from None
    return Ended(process.returncode, out, err.decode("utf-8", "replace").strip())


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        # A child in a session of its own lives on, and would keep them open.
        if pipe:
            pipe.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDING_SECONDS)
