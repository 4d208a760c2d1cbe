"""Names of files in messages: a name can have any bytes, also line ends."""

from __future__ import annotations

import os
from pathlib import PurePath


def shown(path: PurePath | str) -> str:
    """On one line, without control characters; a byte that is no UTF-8 as \\xff.

    Whole: a part of a secret in it would not be masked any more. Results cut what is masked.
    """
    return "".join(map(_shown, os.fspath(path)))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    is_byte = "\udc80" <= character <= "\udcff"
    return f"\\x{ord(character) - 0xDC00:02x}" if is_byte else ascii(character)[1:-1]
