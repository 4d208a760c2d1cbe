"""Values of env files that are named like secrets: Compose's errors may quote them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from gpuhost.runner.contract import is_secret_name
from gpuhost.runner.docker.compose import LEAST_GUESSED

LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*[=:]\s*(.*?)\s*")


def guessed_secrets(files: Iterable[Path], public: str) -> Iterator[str]:
    """+ public: text of the Compose files; its words are no secrets"""
    for file in files:
        if not file.is_file():
            continue
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            match = LINE.fullmatch(line)
            if match is None or not is_secret_name(match[1]):
                continue
            value = match[2]
            if value[:1] in ("'", '"'):
                value = value[1:].partition(value[0])[0]
            if len(value) >= LEAST_GUESSED and value not in public:
                yield value
