"""Runs commands with a time limit, and writes their output to the log."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure, failure_of
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.running import Outcome as Outcome
from gpuhost.runner.lib.running import Running
from gpuhost.runner.lib.sizes import format_size

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The same for every command: a release does not depend on the environment of its unit, nor on
    the engine that somebody chose with `docker context use`.
    """
    own = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "DOCKER_CONTEXT": "default"}
    return {**own, **(extra or {})}


def try_run(
    log: Log,
    *words: str,
    seconds: float,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
    quiet: bool = False,
    on_line: Callable[[str], None] | None = None,
    noise: re.Pattern[str] | None = None,
    large: bool = False,
    watch: Callable[[], None] | None = None,
) -> Outcome:
    """Run a command; stop it after the time limit.

    + seconds: the time limit
    + env: added to the common environment
    + stdin: text given to the command; secrets travel here, never in words
    + quiet: stdout is not logged, and returned
    + on_line: called with each line that is logged, secrets masked
    + noise: lines that are logged only
    + large: output that is cut is no failure
    + watch: called every WATCH_S; a Failure that it raises ends the command

    Raises Aborted, or Failure after the time limit of the operation, or for an answer that is cut.
    """
    abort.check()
    try:
        process = subprocess.Popen(
            words,
            env=environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet else subprocess.STDOUT,
            # So that its children can be stopped with it.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        # Words that an image or a source names may contain NUL.
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Outcome(127, "", (f"{words[0]}: {reason}",))
    outcome = Running(process, log, quiet, on_line, noise, watch).finish(stdin, seconds)
    if outcome.is_cut and not large:
        outcome.require_ok(" ".join(words[:2]), seconds)
    return outcome


def run(
    log: Log,
    *words: str,
    seconds: float,
    what: str,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
    quiet: bool = False,
) -> str:
    """Run a command that must succeed; return its stdout if it is quiet.

    + what: names the command in the failure, "docker compose config"

    Raises Failure with the last lines.
    """
    outcome = try_run(
        log, *words, seconds=seconds, env=env, stdin=stdin, cwd=cwd, quiet=quiet, large=True
    )
    outcome.require_ok(what, seconds)
    return outcome.out


def stream(
    log: Log,
    *words: str,
    seconds: float,
    what: str,
    source: Path | None = None,
    target: Path | None = None,
    room: int = 0,
) -> str:
    """Run a command that must succeed, with stdin or stdout as a file; log its stderr.

    Returns its stdout; "" if it is written to a file.

    + source: the file for stdin
    + target: a new file (0600) for stdout; deleted if the command fails
    + room: bytes that it may have, at most

    Raises Failure with the last lines.
    """
    try:
        with ExitStack() as files:
            stdin = files.enter_context(source.open("rb")) if source else subprocess.DEVNULL
            stdout = files.enter_context(_create(target)) if target else subprocess.PIPE
            process = subprocess.Popen(
                # An app's program may write without end.
                (*(("prlimit", f"--fsize={room}") if target else ()), *words),
                env=environment(),
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            outcome = Running(process, log, quiet=True).finish(None, seconds)
        if target and target.stat().st_size >= room:
            raise Failure(
                f"{what}: more than {format_size(room)}, and then the disk would be nearly full",
                fix="free disk space",
            )
        outcome.require_ok(what, seconds)
        return outcome.out
    except BaseException as error:
        if target and not isinstance(error, FileExistsError):
            target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise failure_of(error, what) from error
        raise


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
