"""Errors in an app file."""

from __future__ import annotations

from collections.abc import Sequence


class BadApp(ValueError):
    """One line per error: `apps/tts.yaml:31: x-gpuhost.scale.app = 0: …`."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)
