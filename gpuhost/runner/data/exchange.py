"""Restored files take the place of those that are there, by renaming; and back again.

Each step can be cut off and done again: what is still staged was not put in place.
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
    """One file or directory. Paths are text: this is kept as JSON while a restore is under way."""

    target: str
    staged: str  # what is put there
    aside: str  # a directory, for what was there
    is_database: bool = False  # with the files that SQLite keeps beside it

    def put_in_place(self) -> None:
        """Raises OSError."""
        if not os.path.lexists(self.staged):
            return
        aside = Path(self.aside)
        aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._files:
            if os.path.lexists(path):
                path.rename(_free(aside / path.name))
        Path(self.staged).rename(self.target)
        self._sync()

    def undo(self) -> None:
        """As it was before; nothing if it was not put in place. Raises OSError."""
        if not os.path.lexists(self.staged):
            # What the app has made beside the restored database goes with it.
            for path in self._files[1:]:
                path.unlink(missing_ok=True)
            if os.path.lexists(self.target):
                Path(self.target).rename(self.staged)
        for path in self._files:
            kept = Path(self.aside) / path.name
            if os.path.lexists(kept):
                kept.rename(path)
        self._sync()

    @property
    def _files(self) -> tuple[Path, ...]:
        target = Path(self.target)
        return files_of(target) if self.is_database else (target,)

    def _sync(self) -> None:
        for directory in (Path(self.target).parent, Path(self.staged).parent, Path(self.aside)):
            if directory.is_dir():
                sync_directory(directory)


@dataclass(frozen=True)
class Rooms:
    """Directories on the target's disk, so that renaming is all that there is to do."""

    staging: Path
    aside: Path


def rooms(target: Path, staging: Path, aside: Path) -> Rooms:
    """Those that are given, or others beside the target if it lies on another disk.

    + staging: a directory that need not be there
    + aside: as well

    Raises Failure if the target cannot be renamed at all.
    """
    if os.path.ismount(target):
        raise Failure(
            f"{target} is a mount point: it cannot be exchanged in one step",
            fix="stop the app, and unpack the backup's file over it manually",
        )
    staging.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _same_disk(staging.parent, target.parent):
        return Rooms(staging, aside)
    beside = target.parent
    return Rooms(
        beside / f".gpuhost-restore-{staging.name}",
        beside / f".gpuhost-{aside.parent.name}-{aside.name}",
    )


def clear(path: Path) -> None:
    """Nothing is there afterwards."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _same_disk(one: Path, other: Path) -> bool:
    """Two mounts of one disk are two for a renaming as well: only trying tells."""
    probe, target = one / ".gpuhost-probe", other / ".gpuhost-probe"
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


def _free(path: Path) -> Path:
    """What somebody made anew after an interruption does not replace what was set aside first."""
    candidate, number = path, 1
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate
