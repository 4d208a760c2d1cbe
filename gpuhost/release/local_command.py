"""Commands on this machine: without input, and killed with their children after a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# A killed process that waits for a disk needs time to end.
KILL_SECONDS = 5


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
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise LocalCommandError(f"no result within {seconds:.0f} s") from None
    return Completed(process.returncode, out, err.decode("utf-8", "replace").strip())


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        # A child in its own session survives, and would keep them open.
        if pipe:
            pipe.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(KILL_SECONDS)
