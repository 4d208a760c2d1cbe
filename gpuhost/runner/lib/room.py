"""Room on a disk that something is copied to: the app runs and writes there too."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass

from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.sizes import format_size

# Bytes that stay free: a full disk would stop the app.
RESERVE = 256 << 20
# A small disk, of the app alone, needs less.
PART = 20
RESERVED_INODES = 10_000
# Most file systems give a file whole blocks.
BLOCK = 4096


@dataclass(frozen=True)
class Room:
    """Bytes and inodes. + inodes: 0: the file system has as many as it needs"""

    total: int
    free: int
    inodes: int = 0
    free_inodes: int = 0

    @classmethod
    def of(cls, directory: DirectoryHandle) -> Room:
        usage, counted = shutil.disk_usage(directory.number), os.statvfs(directory.number)
        return cls(usage.total, usage.free, counted.f_files, counted.f_favail)

    @property
    def reserve(self) -> int:
        """Bytes that stay free."""
        return min(RESERVE, self.total // PART)

    @property
    def reserved_inodes(self) -> int:
        return min(RESERVED_INODES, self.inodes // PART)

    @property
    def usable(self) -> int:
        """Bytes that may be written."""
        return max(0, self.free - self.reserve)

    @property
    def usable_inodes(self) -> float:
        """Files and directories that may be made."""
        return max(0, self.free_inodes - self.reserved_inodes) if self.inodes else math.inf

    def require(self, need: int, what: str, where: str, fix: str) -> None:
        """Raises Failure, also if not even one more file may be made.

        + need: bytes
        + what: "to restore"; where: for the message
        """
        if self.free < need + self.reserve:
            raise Failure(
                f"not enough disk space {what}: {format_size(need)} needed, "
                f"{format_size(self.free)} free on the disk of {where}, of which "
                f"{format_size(self.reserve)} are left to the app",
                fix=fix,
            )
        if self.usable_inodes < 1:
            raise Failure(f"no inodes are left {what} on the disk of {where}", fix=fix)


def require_left(directory: DirectoryHandle, what: str, fix: str) -> None:
    """While something is written into it: what is copied may grow. Raises Failure.

    + what: is ended
    """
    room = Room.of(directory)
    if room.free < room.reserve // 2:
        raise Failure(f"the disk of {directory.path} is nearly full: {what} was ended", fix=fix)
    if room.free_inodes < room.reserved_inodes // 2:
        raise Failure(
            f"the disk of {directory.path} has nearly no inodes left: {what} was ended", fix=fix
        )


def on_disk(size: int) -> int:
    """+ size: of a file, 0 for anything else"""
    return (size // BLOCK + 1) * BLOCK
