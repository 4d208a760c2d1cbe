"""The log of a release: the output of its tools, with secrets masked."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from gpuhost.runner.contract import LEAST_MASKED, STAGE
from gpuhost.runner.lib import proxy

LOUD = "!" * 78
# Line ends in the output of a command.
LINE_END = re.compile(r"[\r\n]+")
# Characters at which Compose splits a value: ports, volumes, images, addresses.
SEPARATORS = re.compile(r"[\s:;,/@=|?&#]+")


class Log:
    """Appends lines to a file; known secrets, and passwords of the proxy, become ***."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _masked(self) -> tuple[str, ...]:
        """The longest first, so that a value that contains another one is masked as a whole."""
        # Any tool, build or container may print its proxy.
        return _longest_first(_spellings(proxy.passwords()))

    def mask(self, values: Iterable[str]) -> None:
        """Mask these values from now on, also in JSON spelling."""
        self._masked = _longest_first((*self._masked, *_spellings(values)))

    def in_pieces(self, known: str) -> Log:
        """The same log, for a program that splits values: their pieces are masked too.

        + known: public text; its words are not masked
        """
        log = Log(self._path)
        log.mask(self._masked)
        pieces = {piece for value in self._masked for piece in SEPARATORS.split(value)}
        log.mask(piece for piece in pieces if piece not in known)
        return log

    def silent(self) -> Log:
        """A log that masks the same, and writes nothing."""
        log = Log(Path(os.devnull))
        log.mask(self._masked)
        return log

    def masked(self, text: str) -> str:
        for value in self._masked:
            text = text.replace(value, "***")
        return text

    def masked_start(self, text: str) -> str:
        """Of a text that was cut; its end, which may be the beginning of a secret, is left out."""
        longest = len(self._masked[0]) if self._masked else 0
        return f"{self.masked(text)[: -longest or None]} …"

    def stage(self, name: str) -> None:
        self.write(f"{STAGE}{name}")

    def loud(self, *lines: str) -> None:
        """Write lines that a reader cannot miss."""
        self.write("\n".join((LOUD, *lines, LOUD)))

    def write(self, text: str) -> None:
        """Write a line; on a full disk it is lost, and the work continues."""
        stamp = time.strftime("%H:%M:%S", time.gmtime())
        lines = self.masked(text).splitlines() or [""]
        with (
            suppress(OSError),
            self._path.open("a", encoding="utf-8", errors="replace") as file,
        ):
            file.writelines(f"{stamp} {line}\n" for line in lines)


def _spellings(values: Iterable[str]) -> Iterator[str]:
    for value in values:
        in_json = json.dumps(value, ensure_ascii=False)[1:-1]
        for spelling in (value, in_json, *LINE_END.split(value)):
            if len(spelling) >= LEAST_MASKED:
                yield spelling


def _longest_first(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(values), key=len, reverse=True))


# For commands whose failure is an expected answer.
NOWHERE = Log(Path(os.devnull))
