"""Runs commands with a time limit, and writes their output to the log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log

TAIL = 30
# Characters of a line. The output of a build is anything, also a gigabyte without a line end.
LONGEST_LINE = 1 << 16
# Lines of stderr that are kept.
MOST_LINES = 10_000
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Outcome:
    """Exit status (None: stopped after its time limit) and output of a command.

    + out: stdout of a quiet command; what is logged may be large, and is not kept
    """

    status: int | None
    out: str
    tail: tuple[str, ...]  # the last lines of both streams, in order, secrets masked
    err: tuple[str, ...] = ()  # the lines of stderr of a quiet command, not masked

    @property
    def ok(self) -> bool:
        return self.status == 0


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The same for every command: a release does not depend on the environment of its unit."""
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(extra or {})}


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
) -> Outcome:
    """Run a command; stop it after the time limit.

    + seconds: the time limit
    + env: added to the common environment
    + stdin: text given to the command; secrets travel here, never in words
    + quiet: stdout is not logged, and returned
    + on_line: called with each line that is logged, secrets masked
    + noise: lines that are logged only

    Raises Aborted.
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
            text=True,
            encoding="utf-8",
            errors="replace",
            # So that its children can be stopped with it.
            start_new_session=True,
        )
    except OSError as error:
        return Outcome(127, "", (f"{words[0]}: {error.strerror}",))
    return _Running(process, log, quiet, on_line, noise).finish(stdin, seconds)


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
    outcome = try_run(log, *words, seconds=seconds, env=env, stdin=stdin, cwd=cwd, quiet=quiet)
    if outcome.status is None:
        raise Failure(f"{what} did not end within {seconds:.0f} s", output=outcome.tail)
    if outcome.status != 0:
        raise Failure(f"{what} failed (exit {outcome.status})", output=outcome.tail)
    return outcome.out


def stream(
    log: Log,
    *words: str,
    seconds: float,
    what: str,
    source: Path | None = None,
    target: Path | None = None,
) -> None:
    """Run a command that must succeed, with stdin or stdout as a file; log its stderr.

    + source: the file for stdin
    + target: a new file (0600) for stdout; deleted if the command fails

    Raises Failure with the last lines.
    """
    try:
        with ExitStack() as files:
            stdin = files.enter_context(source.open("rb")) if source else subprocess.DEVNULL
            stdout = files.enter_context(_create(target)) if target else subprocess.DEVNULL
            process = subprocess.Popen(
                words,
                env=environment(),
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            outcome = _Running(process, log, quiet=True).finish(None, seconds)
        if outcome.status is None:
            raise Failure(f"{what} did not end within {seconds:.0f} s", output=outcome.tail)
        if outcome.status != 0:
            raise Failure(f"{what} failed (exit {outcome.status})", output=outcome.tail)
    except BaseException as error:
        if target and not isinstance(error, FileExistsError):
            target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Failure(f"{what}: {error.strerror}") from error
        raise


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


class _Running:
    def __init__(
        self,
        process: subprocess.Popen[str],
        log: Log,
        quiet: bool,
        on_line: Callable[[str], None] | None = None,
        noise: re.Pattern[str] | None = None,
    ) -> None:
        self.process = process
        self.log = log
        self.quiet = quiet
        self.on_line = on_line
        self.noise = noise
        self.out: list[str] = []
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.err: deque[str] = deque(maxlen=MOST_LINES)

    def finish(self, stdin: str | None, seconds: float) -> Outcome:
        readers = [
            threading.Thread(target=self._read, args=(stream, shown), daemon=True)
            for stream, shown in (
                (self.process.stdout, not self.quiet),
                (self.process.stderr, True),
            )
            if stream is not None
        ]
        for reader in readers:
            reader.start()
        if stdin is not None:
            threading.Thread(target=self._feed, args=(stdin,), daemon=True).start()
        status = self._wait(time.monotonic() + seconds)
        for reader in readers:
            # A child that still runs may keep the pipe open: use the output so far.
            reader.join(5)
        return Outcome(status, "".join(self.out), tuple(self.tail), tuple(self.err))

    def _wait(self, deadline: float) -> int | None:
        """The exit status; None: stopped after the time limit. Raises Aborted."""
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                return self.process.wait(min(left, abort.LOOK_S))
            except subprocess.TimeoutExpired:
                if left <= abort.LOOK_S:
                    self._kill()
                    return None
            try:
                abort.check()
            except abort.Aborted:
                self._kill()
                raise

    def _read(self, stream: TextIO, shown: bool) -> None:
        if stream is self.process.stdout and not shown:
            self.out += stream
            return
        for line in _lines(stream, self.log):
            self.log.write(line)
            if stream is self.process.stderr:
                self.err.append(line)
            if self.noise and self.noise.search(line):
                continue
            self.tail.append(line)
            if self.on_line:
                self.on_line(line)

    def _feed(self, text: str) -> None:
        assert self.process.stdin is not None
        try:
            with self.process.stdin as pipe:
                pipe.write(text)
        except BrokenPipeError:
            # It ended without reading; its exit status counts.
            return

    def _kill(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(10)
                return
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def _lines(stream: TextIO, log: Log) -> Iterator[str]:
    """Each line, secrets masked; of a very long one the beginning."""
    while line := stream.readline(LONGEST_LINE):
        rest = line
        while rest and not rest.endswith("\n"):
            rest = stream.readline(LONGEST_LINE)
        is_whole = rest is line or (not rest and len(line) < LONGEST_LINE)
        yield log.masked(line.rstrip("\n")) if is_whole else log.masked_start(line)
