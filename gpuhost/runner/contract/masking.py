"""Masks secrets in text, in each spelling in which programs print them.

A URL has a password percent-encoded, an HTTP header in base64, a shell's trace in quotes, an error
message as JSON.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from gpuhost.runner.contract.base64_lines import Base64Lines
from gpuhost.runner.contract.spellings import encoded_everywhere, pattern_of

# Shorter values occur by chance: they are not masked, and not accepted as secrets.
LEAST_MASKED = 4
MASK = "***"
# Of all values that are only guessed to be secrets: seconds for the first line that is masked.
MOST_EFFORT = 65_536
# Colours, and what else a terminal is told.
TERMINAL_CODE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
LINE_END = re.compile(r"[\r\n]+")
# Less would be in base64 by chance.
LEAST_ENCODED = 6
PADDING = f"{pattern_of('=')}{{0,2}}"
# Of a special character: its name in HTML, or encoded twice, a percent sign for each of its four
# bytes. Of any byte.
LONGEST_CHARACTER, LONGEST_BYTE = 33, 6

Span = tuple[int, int]


@dataclass(frozen=True)
class _Form:
    """+ needle: occurs this many times in what the pattern matches; looking for it is quick"""

    needle: str
    pattern: str
    any_case: bool = False
    times: int = 1

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE if self.any_case else 0)

    def is_possible(self, text: str) -> bool:
        return self.needle in text and (self.times == 1 or text.count(self.needle) >= self.times)

    def spans(self, text: str) -> Iterator[Span]:
        return (match.span() for match in self.compiled.finditer(text))


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
        if "\x1b" in text:
            # A colour may begin within a secret.
            plain = TERMINAL_CODE.sub("", text)
            if (masked := self._masked(plain)) != plain:
                return masked
        return self._masked(text)

    def _masked(self, text: str) -> str:
        pieces, at = [], 0
        for start, end in _joined(sorted(self._spans(text))):
            pieces += [text[at:start], MASK]
            at = end
        return "".join((*pieces, text[at:]))

    @property
    def longest(self) -> int:
        """Characters of the longest secret, however it is spelled."""
        return max(map(_longest, self.values), default=0)

    def _spans(self, text: str) -> Iterator[Span]:
        lower = text.lower()
        for form in self._forms:
            if form.is_possible(lower if form.any_case else text):
                yield from form.spans(text)
        yield from self._lines.spans(text)

    @cached_property
    def _forms(self) -> tuple[_Form, ...]:
        return tuple(form for value in sorted(self.values) for form in _forms(value))

    @cached_property
    def _lines(self) -> Base64Lines:
        return Base64Lines(text for value in self.values for text in _encoded(value))


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Of secrets that overlap, nothing stays. + spans: sorted"""
    last: Span | None = None
    for start, end in spans:
        if last and start < last[1]:
            last = (last[0], max(last[1], end))
            continue
        if last:
            yield last
        last = (start, end)
    if last:
        yield last


def masking_effort(value: str) -> int:
    """What a value costs, in letters: any other character has many spellings."""
    return sum(1 if letter.isascii() and letter.isalnum() else 16 for letter in value)


@lru_cache(maxsize=2048)
def _forms(value: str) -> tuple[_Form, ...]:
    """Kept: each log that masks more has the values of another one."""
    return tuple(_made_forms(value))


def _made_forms(value: str) -> Iterator[_Form]:
    again = pattern_of(value[-_period(value) :])
    yield _Form(_letters(value), f"{pattern_of(value)}(?:{again})*")
    for begin, pattern in encoded_everywhere(value):
        yield _Form(begin, pattern, any_case=True, times=len(value))
    data = value.encode("utf-8", "surrogatepass")
    if len(data) * 2 >= LEAST_ENCODED:
        yield _Form(data.hex(), data.hex(), any_case=True)
    for text in _encoded(value):
        yield _Form(_letters(text), pattern_of(text) + PADDING)


def _period(value: str) -> int:
    """After how many characters the value can begin again, over its own end."""
    # borders[n]: how long a beginning of the value the first n + 1 characters end with.
    borders, length = [0], 0
    for character in value[1:]:
        while length and value[length] != character:
            length = borders[length - 1]
        length += value[length] == character
        borders.append(length)
    return len(value) - borders[-1]


def _letters(text: str) -> str:
    found: list[str] = re.findall("[A-Za-z0-9]*", text)
    return max(found, key=len)


def _longest(value: str) -> int:
    by_character = sum(1 if character.isalnum() else LONGEST_CHARACTER for character in value)
    return max(by_character, LONGEST_BYTE * len(value.encode("utf-8", "surrogatepass")))


def _encoded(value: str) -> list[str]:
    """In base64: of the value alone, and within a longer text, at each of the three alignments."""
    data, found = value.encode("utf-8", "surrogatepass"), set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found.add(encode(data).decode("ascii").rstrip("="))
        for before in range(3):
            text = encode(b"\0" * before + data).decode("ascii")
            # The first and the last characters also depend on what is beside the value.
            first = -(-before * 8 // 6)
            last = (before + len(data)) * 8 // 6
            found.add(text[first:last])
    return sorted(text for text in found if len(text) >= LEAST_ENCODED)
