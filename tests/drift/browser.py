"""Headless Chromium: screenshots of a page, and the results of scripts in a copy of it."""

from __future__ import annotations

import html
import json
import os
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# The headless shell: a full browser cannot make a window as narrow as a phone.
NAMES = ("chromium-headless-shell", "chrome-headless-shell")
LIMIT = 120


@cache
def program() -> str:
    """The path of Chromium; without it, tests are skipped, and fail in CI."""
    found = next((path for name in NAMES if (path := shutil.which(name))), "")
    if not found:
        fail_or_skip = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        fail_or_skip("no Chromium: install the package chromium-headless-shell")
    return found


@dataclass(frozen=True)
class Browser:
    """directory: for its profile and its output; dark: the reader prefers dark colours."""

    directory: Path
    width: int
    height: int = 800
    dark: bool = False

    def screenshot(self, text: str) -> Path:
        made = self.directory / "shot.png"
        self._run(text, f"--screenshot={made}")
        return made

    def measure(self, text: str, script: str) -> dict[str, Any]:
        """The value that `script`, the body of a function, returns in a copy of the page.

        The copy has no Content-Security-Policy, so that only escaping protects it.
        """
        policy = text[text.index('<meta http-equiv="Content-Security-Policy"') :].partition("\n")[0]
        run = (
            "<script>addEventListener('load', () => setTimeout(() => {"
            "const made = document.createElement('pre'); made.id = 'measured';"
            f"made.textContent = JSON.stringify((() => {{ {script} }})());"
            "document.body.append(made); }, 200))</script>\n</body>"
        )
        copy = text.replace(policy, "").replace("</body>", run)
        shown = self._run(copy, "--dump-dom")
        measured = shown.partition('<pre id="measured">')[2].partition("</pre>")[0]
        assert measured, "the script ended with an error"
        found: dict[str, Any] = json.loads(html.unescape(measured))
        return found

    def _run(self, text: str, *what: str) -> str:
        file = self.directory / "page.html"
        file.write_text(text, "utf-8")
        command = [
            program(),
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            # In Blink, 0 is dark.
            f"--blink-settings=preferredColorScheme={int(not self.dark)}",
            f"--user-data-dir={self.directory / 'profile'}",
            f"--window-size={self.width},{self.height}",
            "--virtual-time-budget=5000",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            *what,
            file.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, timeout=LIMIT, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
        return done.stdout.decode()


@dataclass(frozen=True)
class Picture:
    """lines: the filtered lines of a PNG; lines of one colour are equal."""

    width: int
    height: int
    lines: tuple[bytes, ...]

    @classmethod
    def read(cls, file: Path) -> Picture:
        data = file.read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
        assert (depth, kind in (2, 6)) == (8, True)
        packed, at = b"", 8
        while at < len(data):
            (length,) = struct.unpack(">I", data[at : at + 4])
            if data[at + 4 : at + 8] == b"IDAT":
                packed += data[at + 8 : at + 8 + length]
            at += length + 12
        raw, line = zlib.decompress(packed), 1 + width * (3 if kind == 2 else 4)
        return cls(width, height, tuple(raw[n : n + line] for n in range(0, len(raw), line)))
