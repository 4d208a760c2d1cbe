"""The log of a release: everything that its tools print, without secrets."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

# Shorter values are words that occur by chance; a secret that short is refused before.
LEAST_MASKED = 4
# A line that begins so begins a stage: who follows the log shows it with the time it has taken.
STAGE = "== "


class Log:
    """Appends lines to the log; secrets that are known are shown as ***."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._masked: list[str] = []

    def mask(self, values: Iterable[str]) -> None:
        """From now on these are not written, plain or as JSON has them."""
        for value in values:
            for spelled in (value, json.dumps(value, ensure_ascii=False)[1:-1], *value.split("\n")):
                if len(spelled) >= LEAST_MASKED:
                    self._masked.append(spelled)
        # A value that holds another is masked whole.
        self._masked.sort(key=len, reverse=True)

    def masked(self, text: str) -> str:
        for value in self._masked:
            text = text.replace(value, "***")
        return text

    def stage(self, name: str) -> None:
        self.write(f"{STAGE}{name}")

    def write(self, text: str) -> None:
        stamp = time.strftime("%H:%M:%S", time.gmtime())
        lines = self.masked(text).splitlines() or [""]
        with self._path.open("a", encoding="utf-8", errors="replace") as file:
            file.writelines(f"{stamp} {line}\n" for line in lines)


# For questions whose answer "no" is printed as an error.
NOWHERE = Log(Path(os.devnull))
