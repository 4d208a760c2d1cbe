"""Values of env files that are named like secrets: Compose's errors may quote them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from gpuhost.runner.contract import is_secret_name
from gpuhost.runner.docker.compose import LEAST_GUESSED, cannot_mask, require_maskable

# A long value also costs time to look for it.
LONGEST = 16_384
# After a byte order mark, perhaps.
NAME = re.compile(
    r"^\ufeff?[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*[=:][ \t]*", re.MULTILINE
)
# A quoted one may have several lines; else it is the rest of its line.
VALUE = re.compile(
    r"""(?s:"([^"\\]*(?:\\.[^"\\]*)*)"|'([^'\\]*(?:\\.[^'\\]*)*)')|["']?([^\r\n]*)"""
)
ESCAPED = re.compile(r"""\\([n"'$\\])""")


def guessed_secrets(texts: Mapping[str, str], public: str) -> Iterable[str]:
    """+ texts: of env files, by name; public: text of the Compose files; its words are no secrets

    Raises Failure.
    """
    found: dict[str, tuple[str, str]] = {}
    for file, text in texts.items():
        for name, value in _named_like_secrets(text):
            if len(value) < LEAST_GUESSED or value in found or value in public:
                continue
            if len(value) > LONGEST:
                raise cannot_mask(f"{file}: {name}: a long value")
            found[value] = file, name
    require_maskable(found)
    return found


def _named_like_secrets(text: str) -> Iterator[tuple[str, str]]:
    for match in NAME.finditer(text):
        if is_secret_name(match[1]) and (value := VALUE.match(text, match.end())):
            yield match[1], ESCAPED.sub(_unescaped, value[value.lastindex or 0].strip())


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
