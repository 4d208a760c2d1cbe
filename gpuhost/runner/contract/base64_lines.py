"""Finds parts of known texts in base64 that breaks lines, at any column."""

from __future__ import annotations

import re
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator

ALPHABET = f"{string.ascii_letters}{string.digits}+/-_"
# A line end, also one that JSON has escaped.
LINE_END = re.compile(r"[\r\n]|\\[rn]")
AROUND = " \t\"'\\,=|"
# Characters of a part: three bytes. A shorter one stays.
LEAST = 4
# A line that is in the middle of a text, with no end of it.
LEAST_MIDDLE = 16


class Base64Lines:
    """+ texts: in base64, without padding"""

    def __init__(self, texts: Iterable[str]) -> None:
        self._heads: dict[str, list[str]] = defaultdict(list)
        self._tails: dict[str, list[str]] = defaultdict(list)
        self._texts = frozenset(texts)
        for text in self._texts:
            self._heads[text[:LEAST]].append(text)
            self._tails[text[-LEAST:]].append(text)
        self._longest = max(map(len, self._texts), default=0)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Begin and end of each part."""
        at = 0
        while at <= len(text):
            match = LINE_END.search(text, at)
            end = match.start() if match else len(text)
            yield from self._of_line(text[at:end], at)
            at = match.end() if match else len(text) + 1

    def _of_line(self, line: str, at: int) -> Iterator[tuple[int, int]]:
        """Of a line with other text, the first and the last word."""
        bare = line.rstrip(AROUND)
        last = bare[len(bare.rstrip(ALPHABET)) :]
        yield from self._of_word(last, at + len(bare) - len(last))
        if len(last) < len(bare):
            begin = len(line) - len(line.lstrip(AROUND))
            first = line[begin : len(line) - len(line[begin:].lstrip(ALPHABET))]
            yield from self._of_word(first, at + begin)

    def _of_word(self, word: str, at: int) -> Iterator[tuple[int, int]]:
        length = len(word)
        for begin in range(max(0, length - self._longest), length - LEAST + 1):
            for text in self._heads.get(word[begin : begin + LEAST], ()):
                if text.startswith(word[begin:]):
                    yield at + begin, at + length
        for end in range(LEAST, min(length, self._longest) + 1):
            for text in self._tails.get(word[end - LEAST : end], ()):
                if text.endswith(word[:end]):
                    yield at, at + end
        if length >= LEAST_MIDDLE and any(word in text for text in self._texts):
            yield at, at + length
