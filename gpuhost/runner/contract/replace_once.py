"""An edit of a source: the same for the controller, which reads the files, and for the runner."""

from __future__ import annotations

import re

LINE_END = r"(?:\r\n|(?<!\r)\n)"


def replace_once(text: str, find: str, replace: str) -> tuple[str, int]:
    r"""The text with the one occurrence of `find` replaced, and how often `find` occurs.

    The text is unchanged unless that is once. Lines may end with `\n` or `\r\n`: the new lines end
    as those of the place that they are put in.
    """
    lines = find.replace("\r\n", "\n").split("\n")
    anchor = LINE_END.join(map(re.escape, lines))
    # Also occurrences that overlap: any of them could be meant.
    found = [(match.start(), match.end(1)) for match in re.finditer(f"(?=({anchor}))", text)]
    if len(found) != 1:
        return text, len(found)
    ((start, end),) = found
    new = replace.replace("\r\n", "\n").replace("\n", _line_end(text, start))
    return text[:start] + new + text[end:], 1


def _line_end(text: str, at: int) -> str:
    r"""`\n` or `\r\n`: how the line at this place ends, or the one before it."""
    newline = text.find("\n", at)
    if newline < 0:
        newline = text.rfind("\n")
    return "\r\n" if newline > 0 and text[newline - 1] == "\r" else "\n"
