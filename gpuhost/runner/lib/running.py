"""Waits for a command, and reads its output: all of it, but keeps a bounded part."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from typing import IO, TextIO

from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.sizes import format_size

TAIL = 30
# Characters of a line. The output of a build is anything, also a gigabyte without a line end.
LONGEST_LINE = 1 << 16
# Lines of stderr that are kept.
MOST_LINES = 10_000
# Characters of each of them, and of each last line.
LONGEST_KEPT = 4096
# Characters of stdout that are kept, in whole lines. A container's log may be larger; no answer of
# a tool is.
MOST_OUTPUT = 32 << 20
# Between two looks of a watch.
WATCH_S = 0.05


@dataclass(frozen=True)
class Outcome:
    """Exit status (None: stopped after its time limit) and output of a command.

    + out: stdout of a quiet command; what is logged may be large, and is not kept
    """

    status: int | None
    out: str
    tail: tuple[str, ...]  # the last lines of both streams, in order, secrets masked
    err: tuple[str, ...] = ()  # the lines of stderr of a quiet command, masked
    is_cut: bool = False  # out is only the end, from the start of a line

    @property
    def ok(self) -> bool:
        return self.status == 0 and not self.is_cut

    def require_ok(self, what: str, seconds: float) -> None:
        """Raises Failure with the last lines."""
        if self.status is None:
            raise Failure(f"{what} did not end within {seconds:.0f} s", output=self.tail)
        if self.status != 0:
            raise Failure(f"{what} failed (exit {self.status})", output=self.tail)
        if self.is_cut:
            raise Failure(f"{what} printed more than {format_size(MOST_OUTPUT)}", output=self.tail)


class Running:
    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log: Log,
        quiet: bool,
        on_line: Callable[[str], None] | None = None,
        noise: re.Pattern[str] | None = None,
        watch: Callable[[], None] | None = None,
    ) -> None:
        self.process = process
        self.log = log
        self.quiet = quiet
        self.on_line = on_line
        self.noise = noise
        self.watch = watch
        self.out: deque[str] = deque()
        self.is_cut = False
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.err: deque[str] = deque(maxlen=MOST_LINES)

    def finish(self, stdin: str | None, seconds: float) -> Outcome:
        readers = [
            threading.Thread(target=reader, args=(_text(stream),), daemon=True)
            for stream, reader in (
                (self.process.stdout, self._keep if self.quiet else self._read),
                (self.process.stderr, self._read_errors if self.quiet else self._read),
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
        out = "".join(self.out)
        if self.is_cut:
            # Half a line may be half a secret, which no mask finds.
            out = out.partition("\n")[2]
        return Outcome(status, out, tuple(self.tail), tuple(self.err), self.is_cut)

    def _wait(self, deadline: float) -> int | None:
        """The exit status; None: stopped after the time limit. Raises Failure."""
        pause = WATCH_S if self.watch else abort.LOOK_S
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                return self.process.wait(min(left, pause))
            except subprocess.TimeoutExpired:
                if left <= pause:
                    self._kill()
                    return None
            try:
                abort.check()
                if self.watch:
                    self.watch()
            except Failure:
                self._kill()
                raise

    def _read_errors(self, stream: TextIO) -> None:
        self._read(stream, self.err)

    def _read(self, stream: TextIO, kept: deque[str] | None = None) -> None:
        for line in _lines(stream, self.log):
            for part in line.split("\r"):
                self.log.output(part)
                if kept is not None:
                    kept.append(part[:LONGEST_KEPT])
                if not (self.noise and self.noise.search(part)):
                    self.tail.append(part[:LONGEST_KEPT])
            # Whole: what follows a carriage return is the app's, not of the tool that runs it.
            if self.on_line and not (self.noise and self.noise.search(line)):
                self.on_line(line)

    def _keep(self, stream: TextIO) -> None:
        """All of it is read, or the command would wait for ever: the end of a log counts."""
        length = 0
        while piece := stream.read(LONGEST_LINE):
            self.out.append(piece)
            length += len(piece)
            while length > MOST_OUTPUT:
                length -= len(self.out.popleft())
                self.is_cut = True

    def _feed(self, text: str) -> None:
        assert self.process.stdin is not None
        try:
            with self.process.stdin as pipe:
                pipe.write(text.encode("utf-8", "replace"))
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


def _text(stream: IO[bytes]) -> TextIO:
    """A carriage return ends no line."""
    return TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="\n")


def _lines(stream: TextIO, log: Log) -> Iterator[str]:
    """Each line, secrets masked; of a very long one the beginning."""
    while line := stream.readline(LONGEST_LINE):
        rest = line
        while rest and not rest.endswith("\n"):
            rest = stream.readline(LONGEST_LINE)
        is_whole = rest is line or (not rest and len(line) < LONGEST_LINE)
        yield log.masked(line.rstrip("\r\n")) if is_whole else log.masked_start(line)
