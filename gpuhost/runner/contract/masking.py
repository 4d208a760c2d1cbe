"""Masks secrets in text, in each spelling in which programs print them.

A URL has a password percent-encoded, an HTTP header in base64, a shell's trace in quotes, an error
message as JSON. A program may encode some characters and leave others: so each character is matched
in any of its spellings.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

# Shorter values occur by chance: they are not masked, and not accepted as secrets.
LEAST_MASKED = 4
MASK = "***"
LINE_END = re.compile(r"[\r\n]+")
# Less would be in base64 by chance.
LEAST_ENCODED = 6
# The columns at which base64 and PEM break lines.
COLUMNS = (64, 76)
# Backslashes before a character that is quoted more than once: JSON in JSON, a shell's in a log.
BACKSLASHES = r"\\{0,7}"
# Spellings of special characters that are not those of every one.
SPELLINGS = {
    **{chr(7 + at): (rf"\\+{letter}",) for at, letter in enumerate("abtnvfr")},
    " ": (r"\+",),
    "$": (r"\$\$",),
    "%": (r"%%",),
    "'": (r"''", r"'\\''", r"'\"'\"'"),
    '"': (r'""',),
    "\\": (r"\\{2,8}",),
}
# Of a character, encoded twice: a percent sign for each of its four bytes.
LONGEST_CHARACTER = 20


@dataclass(frozen=True)
class _Form:
    """+ needle: a part without which the pattern cannot match; looking for it is quick"""

    needle: str
    pattern: str
    any_case: bool = False

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE if self.any_case else 0)


class Masking:
    """
    >>> masking = Masking(["pa$s word"])
    >>> masking("http://me:pa%24s+word@host and cGEkcyB3b3Jk")
    'http://me:***@host and ***'
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values = frozenset(
            part
            for value in values
            for part in (value, *LINE_END.split(value))
            if len(part) >= LEAST_MASKED
        )

    def with_more(self, values: Iterable[str]) -> Masking:
        return Masking((*self.values, *values))

    def __call__(self, text: str) -> str:
        lower = text.lower()
        for form in self._forms:
            if form.needle in (lower if form.any_case else text):
                text = form.compiled.sub(MASK, text)
        return text

    @property
    def longest(self) -> int:
        """Characters of the longest secret, however it is spelled."""
        return max(map(_longest, self.values), default=0)

    @cached_property
    def _forms(self) -> tuple[_Form, ...]:
        """Of the longest value first: a value that contains another is masked as a whole."""
        ordered = sorted(self.values, key=lambda value: (-len(value), value))
        return tuple(form for value in ordered for form in _forms(value))


def _forms(value: str) -> Iterator[_Form]:
    letters = max(re.findall("[A-Za-z0-9]*", value), key=len)
    yield _Form(letters, "".join(map(_character, value)))
    data = value.encode("utf-8", "surrogatepass")
    if len(data) * 2 >= LEAST_ENCODED:
        yield _Form(data.hex(), data.hex(), any_case=True)
    for text in sorted(set(_encoded(data)), key=lambda text: (-len(text), text)):
        if len(text) >= LEAST_ENCODED:
            yield _Form(text, f"{re.escape(text)}={{0,2}}")


def _longest(value: str) -> int:
    by_character = sum(1 if character.isalnum() else LONGEST_CHARACTER for character in value)
    return max(by_character, 4 * len(value.encode("utf-8", "surrogatepass")))


def _character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    number, data = ord(character), character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    escaped = (
        "".join(f"%(?:25)*{byte:02x}" for byte in data),
        "".join(rf"\\+x{byte:02x}" for byte in data),
        "".join(rf"\\+{byte:03o}" for byte in data),
        "".join(rf"\\+u{units[at : at + 4]}" for at in range(0, len(units), 4)),
        rf"\\+x{number:02x}",
        rf"\\+U0*{number:x}",
        f"&#0*{number};",
        f"&#x0*{number:x};",
        re.escape(html.escape(character)),
    )
    others = (*SPELLINGS.get(character, ()), BACKSLASHES + re.escape(character))
    return f"(?:(?i:{'|'.join(escaped)})|{'|'.join(others)})"


def _encoded(data: bytes) -> Iterator[str]:
    """In base64: of the value alone, and within a longer text, at each of the three alignments."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(data).decode("ascii").rstrip("=")
        yield alone
        for columns in COLUMNS:
            yield from (alone[at : at + columns] for at in range(0, len(alone), columns))
        for before in range(3):
            text = encode(b"\0" * before + data).decode("ascii")
            # The first and the last characters also depend on what is beside the value.
            first = -(-before * 8 // 6)
            last = (before + len(data)) * 8 // 6
            yield text[first:last]
