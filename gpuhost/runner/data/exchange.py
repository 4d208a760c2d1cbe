"""Exchanges present files for restored ones by renaming, and back.

Each step can be repeated after an interruption: a file that is still staged is not in place yet.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.data.sqlite_copy import files_of
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import sync_directory


@dataclass(frozen=True)
class Exchange:
    """A file or directory. Paths are text because this is stored as JSON."""

    target: str
    staged: str  # the restored one
    aside: str  # a directory for the previous one
    is_database: bool = False  # also exchange the files that SQLite keeps beside it

    def put_in_place(self) -> None:
        """Move the previous one aside and the restored one in place. Raises OSError."""
        if not os.path.lexists(self.staged):
            return
        aside = Path(self.aside)
        aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._files:
            if os.path.lexists(path):
                path.rename(_unused(aside / path.name))
        Path(self.staged).rename(self.target)
        self._sync()

    def undo(self) -> None:
        """Move the previous one back. Raises OSError."""
        if not os.path.lexists(self.staged):
            # With the files that the app created beside the restored database.
            for path in self._files[1:]:
                if os.path.lexists(path):
                    path.rename(Path(self.staged).with_name(path.name))
            if os.path.lexists(self.target):
                Path(self.target).rename(self.staged)
        for path in self._files:
            kept = Path(self.aside) / path.name
            if os.path.lexists(kept):
                kept.rename(path)
        self._sync()

    def set_staged_aside(self, aside: str) -> None:
        """Move the restored one, after an undo, to a directory on the same disk. Raises OSError."""
        staging = Path(self.staged).parent
        if not staging.is_dir():
            return
        if any(staging.iterdir()):
            Path(aside).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            staging.rename(_unused(Path(aside)))
            sync_directory(Path(aside).parent)
        else:
            staging.rmdir()

    @property
    def _files(self) -> tuple[Path, ...]:
        target = Path(self.target)
        return files_of(target) if self.is_database else (target,)

    def _sync(self) -> None:
        for directory in (Path(self.target).parent, Path(self.staged).parent, Path(self.aside)):
            if directory.is_dir():
                sync_directory(directory)


@dataclass(frozen=True)
class Places:
    """Directories on the target's disk, so that renaming is enough."""

    staging: Path
    aside: Path


def places(target: Path, staging: Path, aside: Path) -> Places:
    """The given directories, or others beside the target if it is on another disk.

    + staging, aside: they need not exist

    Raises Failure if the target cannot be renamed.
    """
    if os.path.ismount(target):
        raise Failure(
            f"{target} is a mount point, which cannot be renamed",
            fix="stop the app, move what is in it to another directory, then unpack the file of "
            "the backup into it",
        )
    staging.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _same_disk(staging.parent, target.parent):
        return Places(staging, aside)
    beside = target.parent
    return Places(
        beside / f".gpuhost-restore-{staging.name}",
        beside / f".gpuhost-{aside.parent.name}-{aside.name}",
    )


def clear(path: Path) -> None:
    """Delete a file or directory, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _same_disk(first: Path, second: Path) -> bool:
    """Try a rename: two mounts of one disk count as two disks."""
    probe, target = first / ".gpuhost-probe", second / ".gpuhost-probe"
    clear(probe)
    probe.touch()
    try:
        probe.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    finally:
        probe.unlink(missing_ok=True)
    target.unlink()
    return True


def _unused(path: Path) -> Path:
    """A path that does not exist, so that no file that was moved aside is overwritten."""
    candidate, number = path, 1
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate
