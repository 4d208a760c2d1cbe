"""The log of a release: the output of its tools, with secrets masked."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from gpuhost.runner.contract import LONGEST_SAID, STAGE, STAGE_FAILED, Masking
from gpuhost.runner.lib import proxy
from gpuhost.runner.lib.sizes import format_size

LOUD = "!" * 78
# Bytes; after the first number only what gpuhost itself says is written.
LARGEST_LOG = 64 << 20
LARGEST = LARGEST_LOG + (4 << 20)
FULL = f"the log has {format_size(LARGEST_LOG)}: further output of commands is left out"
# Before a line of a program that begins as one of the stages does.
QUOTE = "| "
# Characters of a text of any size: more of it is neither masked nor shown.
LONGEST = 1 << 16
# Characters at which Compose splits a value: ports, volumes, images, addresses.
SEPARATORS = re.compile(r"[\s:;,/@=|?&#]+")


class Log:
    """Appends lines to a file; known secrets, and passwords of the proxy, become ***."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_full = False

    @cached_property
    def _masking(self) -> Masking:
        # Any tool, build or container may print its proxy.
        return Masking(proxy.passwords())

    def mask(self, values: Iterable[str]) -> None:
        """Mask these values from now on, in every spelling."""
        self._masking = self._masking.with_more(values)

    def in_pieces(self, known: str) -> Log:
        """The same log, for a program that splits values: their pieces are masked too.

        + known: public text; its words are not masked
        """
        values = self._masking.values
        pieces = {piece for value in values for piece in SEPARATORS.split(value)}
        log = Log(self._path)
        log._masking = self._masking.with_more(piece for piece in pieces if piece not in known)
        return log

    def silent(self) -> Log:
        """A log that masks the same, and writes nothing."""
        log = Log(Path(os.devnull))
        log._masking = self._masking
        return log

    def masked(self, text: str) -> str:
        return self._masking(text)

    def masked_start(self, text: str) -> str:
        """Of a text that was cut; its end, which may be the beginning of a secret, is left out."""
        return f"{self.masked(text)[: -self._masking.longest or None]} …"

    def masked_line(self, line: str, length: int) -> str:
        """+ length: of a longer one only the beginning, with so many characters at most"""
        return self.masked(line) if len(line) <= length else self.masked_start(line[:length])

    def beginning(self, text: str, length: int) -> str:
        """Of a text of any size, masked before it is cut: no part of a secret is at its end."""
        masked = self.masked_line(text, LONGEST)
        return masked if len(masked) <= length else f"{masked[:length]}…"

    def said(self, text: str) -> str:
        """What a result or a message says: masked, and not longer than a result keeps."""
        return self.beginning(text, LONGEST_SAID - 1)

    def stage(self, name: str) -> None:
        self._write([f"{STAGE}{_one_line(name)}"], LARGEST)

    def failed(self, stage: str, said: str) -> None:
        first, *rest = self.masked(said).split("\n")
        head = f"{STAGE_FAILED}{_one_line(stage)}: {_one_line(first)}"
        self._write([head, *map(_unmarked, rest)], LARGEST)

    def loud(self, *lines: str) -> None:
        """Write lines that a reader cannot miss."""
        self.write("\n".join((LOUD, *lines, LOUD)))

    def write(self, text: str) -> None:
        """Write a line; on a full disk it is lost, and the work continues.

        It never starts or ends a stage: a failure's text may be a program's.
        """
        lines = self.masked(text).rstrip("\n").split("\n")
        self._write([*map(_unmarked, lines)], LARGEST)

    def output(self, line: str) -> None:
        """Write a line of a command's output, which is masked already."""
        self._write([_unmarked(line)], LARGEST_LOG)

    def _write(self, lines: list[str], largest: int) -> None:
        stamp = time.strftime("%H:%M:%S", time.gmtime())
        with (
            suppress(OSError),
            open(self._path, "a", encoding="utf-8", errors="replace", opener=_open) as file,
        ):
            if file.tell() < largest:
                file.writelines(f"{stamp} {line}\n" for line in lines)
            elif not self._is_full:
                self._is_full = True
                file.write(f"{stamp} {FULL}\n")


def _one_line(text: str) -> str:
    """Readers of the log may end a line at a carriage return, or at U+2028."""
    return " ".join(text.splitlines())


def _unmarked(line: str) -> str:
    """A line that a reader cannot take for one of the stages."""
    line = _one_line(line)
    return f"{QUOTE}{line}" if line.startswith((STAGE, STAGE_FAILED)) else line


def _open(path: str, flags: int) -> int:
    """A pipe in its place would block."""
    return os.open(path, flags | os.O_NONBLOCK, 0o644)


# For commands whose failure is an expected answer.
NOWHERE = Log(Path(os.devnull))
