"""Room on the disk to which data is restored: the app runs and writes there too."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from gpuhost.runner.data.stored import RESERVE
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.sizes import format_size

# A small disk, of the app alone, needs less.
PART = 20
RESERVED_INODES = 10_000
FIX = "free disk space first: the present data is kept until the app is verified"


@dataclass(frozen=True)
class Room:
    """Bytes."""

    total: int
    free: int

    @classmethod
    def of(cls, directory: DirectoryHandle) -> Room:
        usage = shutil.disk_usage(directory.number)
        return cls(usage.total, usage.free)

    @property
    def reserve(self) -> int:
        """What a restore leaves free."""
        return min(RESERVE, self.total // PART)

    def require(self, need: int, where: str) -> None:
        """Raises Failure. + need: bytes; + where: for the message"""
        if self.free < need + self.reserve:
            raise Failure(
                f"not enough disk space to restore: {format_size(need)} needed, "
                f"{format_size(self.free)} free on the disk of {where}, of which "
                f"{format_size(self.reserve)} are left to the app",
                fix=FIX,
            )


def require_room_in(directory: DirectoryHandle) -> None:
    """While data is restored into it. Raises Failure."""
    room = Room.of(directory)
    if room.free < room.reserve // 2:
        raise Failure(
            f"the disk of {directory.path} is nearly full: the restore was ended",
            fix=FIX,
        )
    # Some file systems have as many inodes as they need, and count none.
    inodes = os.statvfs(directory.number)
    if inodes.f_favail < min(RESERVED_INODES, inodes.f_files // PART) // 2:
        raise Failure(
            f"the disk of {directory.path} has nearly no inodes left: the restore was ended",
            fix=FIX,
        )
