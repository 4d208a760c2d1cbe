"""The log of a release: everything that its tools print, without secrets."""

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
# Where a command's output is taken for the end of a line.
LINE_END = re.compile(r"[\r\n]+")
# Where Compose takes a text apart: ports, volumes, images, addresses.
BETWEEN_PIECES = re.compile(r"[\s:;,/@=|?&#]+")


class Log:
    """Appends lines to the log; secrets that are known, and the proxy's, are shown as ***."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _masked(self) -> tuple[str, ...]:
        """The longest first: a value that holds another is masked whole."""
        # Any tool, and anything in a build or a container, may print its proxy.
        return _longest_first(_spelled(proxy.passwords()))

    def mask(self, values: Iterable[str]) -> None:
        """From now on these are not written, plain or as JSON has them."""
        self._masked = _longest_first((*self._masked, *_spelled(values)))

    def in_pieces(self, known: str) -> Log:
        """The same log, for a program that takes values apart: their pieces are masked too.

        + known: text that is no secret; a word of it is not masked, whatever value it is in
        """
        log = Log(self._path)
        log.mask(self._masked)
        pieces = {piece for value in self._masked for piece in BETWEEN_PIECES.split(value)}
        log.mask(piece for piece in pieces if piece not in known)
        return log

    def masked(self, text: str) -> str:
        for value in self._masked:
            text = text.replace(value, "***")
        return text

    def stage(self, name: str) -> None:
        self.write(f"{STAGE}{name}")

    def loud(self, *lines: str) -> None:
        """Lines that nobody overlooks."""
        self.write("\n".join((LOUD, *lines, LOUD)))

    def write(self, text: str) -> None:
        """On a full disk the line is lost, and the work continues."""
        stamp = time.strftime("%H:%M:%S", time.gmtime())
        lines = self.masked(text).splitlines() or [""]
        with (
            suppress(OSError),
            self._path.open("a", encoding="utf-8", errors="replace") as file,
        ):
            file.writelines(f"{stamp} {line}\n" for line in lines)


def _spelled(values: Iterable[str]) -> Iterator[str]:
    for value in values:
        in_json = json.dumps(value, ensure_ascii=False)[1:-1]
        for spelled in (value, in_json, *LINE_END.split(value)):
            if len(spelled) >= LEAST_MASKED:
                yield spelled


def _longest_first(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(values), key=len, reverse=True))


# For questions whose answer "no" is printed as an error.
NOWHERE = Log(Path(os.devnull))
