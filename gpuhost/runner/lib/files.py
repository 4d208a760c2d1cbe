"""Files that are whole or not there, also after the power was cut."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """A whole file, written beside its place, synced, renamed; never open to more than `mode`."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    sync_directory(path.parent)


def keep(path: Path, text: str, *, mode: int) -> None:
    """As `write`, where it is not there already: a full disk takes nothing from what is."""
    if not holds(path, text, mode=mode):
        write(path, text, mode=mode)


def holds(path: Path, text: str, *, mode: int) -> bool:
    """Whether it is a file with this text and mode, and no link to one."""
    if path.is_symlink() or not path.is_file():
        return False
    return path.stat().st_mode & 0o7777 == mode and path.read_bytes() == text.encode()


def write_json(path: Path, value: Mapping[str, object], *, mode: int = 0o644) -> None:
    # A YAML reader takes it too: characters stand for themselves.
    write(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", mode=mode)


def append(path: Path, line: str, *, mode: int = 0o644) -> None:
    """A line that is on disk when this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode)
    with os.fdopen(handle, "a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def point(link: Path, target: str) -> None:
    """A symbolic link that changes in one step."""
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.rename(link)
    sync_directory(link.parent)


def sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
