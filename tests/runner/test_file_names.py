"""Names of files in messages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuhost.runner.lib.file_names import shown


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("it's plain/é", "it's plain/é"),
        ("a\n== nginx", r"a\n== nginx"),
        ("a\r\x1b[2J\u2028", r"a\r\x1b[2J\u2028"),
        (Path(os.fsdecode(b"no \xff utf-8")), r"no \xff utf-8"),
        ("\ud800", r"\ud800"),
        # A part of it would be a part of a secret, which is not masked.
        ("x" * 5000, "x" * 5000),
    ],
)
def test_a_name_is_one_line_of_text(path: str | Path, expected: str) -> None:
    assert shown(path) == expected
    shown(path).encode()
