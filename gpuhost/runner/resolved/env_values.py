"""Values of env files that are named like secrets: Compose's errors may quote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gpuhost.runner.contract import is_secret_name
from gpuhost.runner.docker.compose import LEAST_GUESSED
from gpuhost.runner.lib.failure import Failure

LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*[=:]\s*(.*)")
# Each value costs time for each line that is logged; a long one also to look for it.
MOST = 500
LONGEST = 16_384


def guessed_secrets(texts: Mapping[str, str], public: str) -> Iterator[str]:
    """+ texts: of env files, by name; public: text of the Compose files; its words are no secrets

    Raises Failure.
    """
    found = 0
    for file, text in texts.items():
        for name, value in _named_like_secrets(text):
            if len(value) < LEAST_GUESSED or value in public:
                continue
            found += 1
            if found > MOST or len(value) > LONGEST:
                what = f"more than {MOST} values" if found > MOST else f"{name}: a long value"
                raise Failure(
                    f"{file}: {what} of variables that are named like secrets; a log cannot mask "
                    f"more, or values of more than {LONGEST} characters",
                    fix="rename those that are no secrets, or mount a file instead",
                )
            yield value


def _named_like_secrets(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = LINE.fullmatch(line.strip())
        if match is not None and is_secret_name(match[1]):
            value = match[2]
            if value[:1] in ("'", '"'):
                value = value[1:].partition(value[0])[0]
            yield match[1], value
