"""Shared by tests of archives: members of any kind, also those that our own archives never have."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

Add = Callable[[tarfile.TarFile], None]


def a_file(name: str, text: str = "x", mode: int = 0o644) -> Add:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(text.encode()), mode
        archive.addfile(member, io.BytesIO(text.encode()))

    return add


def a_member(name: str, kind: bytes, link: str = "", mode: int = 0o755) -> Add:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.mode = kind, link, mode
        archive.addfile(member)

    return add


def write_archive(path: Path, *members: Add) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for add in members:
            add(archive)
