"""Names of files in messages: a name can have any bytes, also line ends."""

from __future__ import annotations

import os
from pathlib import PurePath

# Characters of a path.
LONGEST = 200


def shown(path: PurePath | str) -> str:
    """On one line, without control characters; a byte that is no UTF-8 as \\xff."""
    text = os.fspath(path)
    return "".join(map(_shown, text[:LONGEST])) + ("…" if len(text) > LONGEST else "")


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    is_byte = "\udc80" <= character <= "\udcff"
    return f"\\x{ord(character) - 0xDC00:02x}" if is_byte else ascii(character)[1:-1]
