"""Values of env files that are named like secrets: Compose's errors may quote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gpuhost.runner.contract import MOST_EFFORT, is_secret_name, masking_effort
from gpuhost.runner.docker.compose import LEAST_GUESSED, MOST_GUESSED, TOO_MANY_FIX
from gpuhost.runner.lib.failure import Failure

# A long value also costs time to look for it.
LONGEST = 16_384
LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*[=:]\s*(.*)")


def guessed_secrets(texts: Mapping[str, str], public: str) -> Iterator[str]:
    """+ texts: of env files, by name; public: text of the Compose files; its words are no secrets

    Raises Failure.
    """
    found = effort = 0
    for file, text in texts.items():
        for name, value in _named_like_secrets(text):
            if len(value) < LEAST_GUESSED or value in public:
                continue
            found += 1
            effort += masking_effort(value)
            if found > MOST_GUESSED:
                raise _cannot_mask(file, f"more than {MOST_GUESSED} values")
            if len(value) > LONGEST or effort > MOST_EFFORT:
                raise _cannot_mask(file, f"{name}: a long value")
            yield value


def _cannot_mask(file: str, what: str) -> Failure:
    return Failure(
        f"{file}: {what} of variables that are named like secrets; a log cannot mask more, or "
        f"values of more than {LONGEST} characters, or of {MOST_EFFORT} together, of which each "
        "that is no letter or digit counts as 16",
        fix=TOO_MANY_FIX,
    )


def _named_like_secrets(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = LINE.fullmatch(line.strip())
        if match is not None and is_secret_name(match[1]):
            value = match[2]
            if value[:1] in ("'", '"'):
                value = value[1:].partition(value[0])[0]
            yield match[1], value
