"""Values of env files that are named like secrets: Compose's errors may quote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gpuhost.runner.contract import is_secret_name
from gpuhost.runner.docker.compose import LEAST_GUESSED, MOST_GUESSED, TOO_MANY_FIX
from gpuhost.runner.lib.failure import Failure

# A long value also costs time to look for it.
LONGEST = 16_384
LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*[=:]\s*(.*)")


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
            if found > MOST_GUESSED or len(value) > LONGEST:
                what = (
                    f"more than {MOST_GUESSED} values"
                    if found > MOST_GUESSED
                    else f"{name}: a long value"
                )
                raise Failure(
                    f"{file}: {what} of variables that are named like secrets; a log cannot mask "
                    f"more, or values of more than {LONGEST} characters",
                    fix=TOO_MANY_FIX,
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
