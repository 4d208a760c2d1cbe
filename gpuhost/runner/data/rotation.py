"""Rotates log files that an app writes into bind mounts: NAME.1.gz is the newest of `logs.keep`.

Not with the host's logrotate, which takes paths: an app that exchanges a directory for a link while
it runs would have another file of the host truncated. Here each directory is opened by handle.
"""

from __future__ import annotations

import errno
import gzip
import os
import posixpath
import re
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from heapq import nsmallest
from pathlib import Path
from typing import BinaryIO

from gpuhost.runner.contract import NOT_THERE, AppPaths
from gpuhost.runner.data.safe_paths import locate, open_directory
from gpuhost.runner.lib import boot_time
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure, failure_of
from gpuhost.runner.lib.files import data_pieces, read_json, write_json
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.plan import Logs
from gpuhost.runner.state.release import Release

WILD = frozenset("*?[")
ROTATED = re.compile(r"\.\d+\.gz$")
DAY = 24 * 3600
# An app that writes faster than this is read has no end.
MOST_GROWTH = 64 << 20
# Files of one pattern.
MOST_FILES = 1000
# A file of any size costs an app nothing where the file system shares its blocks.
LIMIT_S = 120
# Of st_blocks, in bytes.
SECTOR = 512


def usable(logs: Logs) -> Iterator[str]:
    """The patterns that can be rotated: plans of an older gpuhost may have others."""
    return (pattern for pattern in logs.files if not WILD & set(posixpath.dirname(pattern)))


def state_of(app: AppPaths) -> Path:
    """The seconds since the last rotation of each file, while the host ran, and when that was
    counted; written by each run that has ended.
    """
    return app.home / "rotation.json"


def old_directory(app: AppPaths) -> Path:
    """What an older gpuhost has instead."""
    return app.home / "logrotate"


def rotate(app: AppPaths) -> bool:
    """Rotate the log files of the current release. Returns False, and prints which could not be."""
    release = Release.open_current(app, NOWHERE)
    if release is None:
        return True
    known = _known_ages(app)
    ages: dict[str, float] = {}
    is_good = True
    for pattern in usable(release.plan.logs):
        directory, wanted = posixpath.split(pattern)
        try:
            with open_directory(release, directory or ".") as handle:
                for name in _matching(handle, wanted):
                    key = repr(str(locate(release, directory) / name))
                    ages[key] = known.get(key, 0.0)
                    if _is_due(handle, name, release.plan.logs, ages[key]):
                        ages[key] = 0.0
                        is_good = _try_rotate(handle, name, release.plan.logs.keep) and is_good
        except NOT_THERE:
            continue
        except (Failure, OSError) as error:
            is_good = _tell(pattern, error)
    state = {"boot": boot_time.boot(), "up": boot_time.seconds(), "ages": ages}
    write_json(state_of(app), state, mode=0o600)
    return is_good


def _known_ages(app: AppPaths) -> dict[str, float]:
    """Seconds since each file's last rotation, while the host ran. Not by the wall clock: a jump
    would rotate everything.
    """
    state, up = read_json(state_of(app)), boot_time.seconds()
    is_same_boot = state.get("boot") == boot_time.boot()
    passed = up - _number(state.get("up"), up) if is_same_boot else up
    ages = state.get("ages")
    known = ages.items() if isinstance(ages, dict) else ()
    return {key: min(_number(age, DAY) + passed, DAY) for key, age in known}


def _number(value: object, most: float) -> float:
    return value if isinstance(value, (int, float)) and 0 <= value <= most else 0.0


def _matching(handle: DirectoryHandle, pattern: str) -> list[str]:
    """Small files first: a large one may take all the time."""
    states = (
        (state.st_size, name)
        for name in handle.iterate()
        if fnmatchcase(name, pattern)
        and name.startswith(".") == pattern.startswith(".")
        and not ROTATED.search(name)
        and (state := handle.look(name)) is not None
        and stat.S_ISREG(state.st_mode)
    )
    return [name for _, name in nsmallest(MOST_FILES, states)]


def _is_due(handle: DirectoryHandle, name: str, logs: Logs, age: float) -> bool:
    state = handle.look(name)
    # An app that does not append goes on at its offset: the file begins with a hole.
    size = min(state.st_size, max(state.st_blocks, 1) * SECTOR) if state else 0
    return size > logs.max_size_mb << 20 or (size > 0 and age >= DAY)


def _try_rotate(handle: DirectoryHandle, name: str, keep: int) -> bool:
    draft = f".{name}.gpuhost-part"
    try:
        with handle.update(name) as log:
            handle.discard(draft)
            _compress(log, handle, draft)
            # A cut leaves a free number between them.
            numbers = range(1, keep)
            free = next((n for n in numbers if not handle.look(_numbered(name, n))), keep)
            for number in range(free - 1, 0, -1):
                handle.rename(_numbered(name, number), handle, _numbered(name, number + 1))
            handle.rename(draft, handle, _numbered(name, 1))
            handle.sync()
            # Not replaced: the app keeps it open. What it wrote since the copy is lost.
            log.truncate(0)
        for beyond in range(keep + 1, keep + MOST_FILES):
            if not handle.look(_numbered(name, beyond)):
                break
            handle.unlink(_numbered(name, beyond))
    except OSError as error:
        with suppress(OSError):
            handle.discard(draft)
        return _tell(str(handle.path / name), error)
    return True


def _compress(log: BinaryIO, handle: DirectoryHandle, draft: str) -> None:
    """With the owner and the mode of the log. Holes are left out: they may be of any size."""
    state, deadline = os.fstat(log.fileno()), time.monotonic() + LIMIT_S
    # A nearly full disk is the reason to rotate: a part of what is free has to be enough.
    most = shutil.disk_usage(handle.number).free // 2
    with handle.create(draft) as file:
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file) as packed:
            for _, piece in data_pieces(log.fileno(), state.st_size + MOST_GROWTH):
                packed.write(piece)
                if file.tell() > most:
                    raise OSError(errno.ENOSPC, "its copy needs more than half of the free space")
                if time.monotonic() > deadline:
                    raise OSError(errno.EFBIG, f"it cannot be compressed within {LIMIT_S} s")
        os.fchown(file.fileno(), state.st_uid, state.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(state.st_mode) & 0o777)
        file.flush()
        os.fsync(file.fileno())


def _numbered(name: str, number: int) -> str:
    return f"{name}.{number}.gz"


def _tell(what: str, error: Exception) -> bool:
    reason = (error if isinstance(error, Failure) else failure_of(error)).said
    print(f"not rotated: {what!r}: {reason}", file=sys.stderr)
    return False
