"""The files of an app's project: a directory of this machine, or a commit of a repository."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Protocol

from gpuhost.runner.contract import PLACEHOLDERS

MAX_BYTES = 1024 * 1024


class Kind(Enum):
    """What a path of the project is.

    EMPTY: a directory that has no files but placeholders, also in its directories.
    """

    FILE = "a file"
    DIRECTORY = "a directory"
    EMPTY = "an empty directory"
    ABSENT = "absent"


class Unreadable(Exception):
    """Why a file cannot be read: "no such file", "not UTF-8"."""


class ProjectFiles(Protocol):
    """Paths are relative to the source, with /, normalized, and never leave it."""

    def kind(self, path: str) -> Kind: ...

    def read(self, path: str) -> str:
        """The text of a file. Raises Unreadable."""

    def shown(self, path: str) -> str:
        """The path in messages."""


class LocalFiles:
    """A directory of this machine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def kind(self, path: str) -> Kind:
        try:
            inside = self.directory / path
            if inside.is_dir():
                return Kind.DIRECTORY if has_content(inside) else Kind.EMPTY
            return Kind.FILE if inside.exists() else Kind.ABSENT
        except (OSError, ValueError):
            return Kind.ABSENT

    def read(self, path: str) -> str:
        """A link may lead to any file of this machine, and a pipe never ends."""
        try:
            if self._leads_out(path):
                raise Unreadable("is a link that leads out of the source, which the host lacks")
            number = os.open(self.directory / path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            with os.fdopen(number, "rb") as file:
                if not stat.S_ISREG(os.fstat(number).st_mode):
                    raise Unreadable("is not a regular file")
                content = file.read(MAX_BYTES + 1)
        except (OSError, ValueError, RecursionError) as error:
            words = getattr(error, "strerror", None) or "not a path"
            raise Unreadable(f"cannot be read: {words}") from None
        return decoded(content)

    def _leads_out(self, path: str) -> bool:
        real = Path(os.path.realpath(self.directory / path))
        return not real.is_relative_to(os.path.realpath(self.directory))

    def shown(self, path: str) -> str:
        return str(self.directory / path)


class NoFiles:
    """The files of a repository that were not read."""

    def kind(self, path: str) -> Kind:  # noqa: ARG002
        return Kind.ABSENT

    def read(self, path: str) -> str:  # noqa: ARG002
        raise Unreadable("not read yet")

    def shown(self, path: str) -> str:
        return path


def decoded(content: bytes) -> str:
    """The text of a file of the project. Raises Unreadable."""
    if len(content) > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8") from None


def has_content(directory: Path) -> bool:
    """Whether a directory has a file that is no placeholder. Links are not followed."""
    # Not by recursion: its author may have made any depth of directories.
    left = [os.fspath(directory)]
    while left:
        with suppress(FileNotFoundError), os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                elif entry.name not in PLACEHOLDERS:
                    return True
    return False
