"""The runner as one file: a zip application of gpuhost/runner, the same bytes for the same code."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Python 3.14 has it elsewhere.
    from importlib.abc import Traversable

MAIN = """from gpuhost.runner.__main__ import main

raise SystemExit(main())
"""
# The earliest time that a zip archive can have.
EPOCH = (1980, 1, 1, 0, 0, 0)
REGULAR = 0o100644
HASH_LENGTH = 12


@dataclass(frozen=True)
class RunnerFile:
    """name: runner-HASH.pyz, the hash of its content."""

    name: str
    data: bytes


@cache
def runner_file() -> RunnerFile:
    """From the installed package; it runs with `python3 NAME`, without site packages."""
    members = {"__main__.py": MAIN.encode(), "gpuhost/__init__.py": b"", **dict(_modules())}
    buffer = io.BytesIO()
    # Stored: compressed bytes would depend on Python's zlib.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(name, EPOCH)
            member.external_attr = REGULAR << 16
            member.create_system = 3
            archive.writestr(member, content)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()[:HASH_LENGTH]
    return RunnerFile(f"runner-{digest}.pyz", data)


def _modules() -> Iterator[tuple[str, bytes]]:
    return _under(files("gpuhost.runner"), "gpuhost/runner")


def _under(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        inside = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from _under(entry, inside)
        elif entry.name.endswith(".py"):
            # A checkout with other line ends gives the same runner.
            yield inside, entry.read_bytes().replace(b"\r\n", b"\n")
