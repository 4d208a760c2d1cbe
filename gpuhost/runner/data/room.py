"""Room on the disk to which data is restored."""

from __future__ import annotations

from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.room import Room, require_left

FIX = "free disk space first: the present data is kept until the app is verified"


def require_room(room: Room, need: int, where: str) -> None:
    """Raises Failure. + need: bytes; + where: for the message"""
    room.require(need, "to restore", where, FIX)


def require_room_in(directory: DirectoryHandle) -> None:
    """While data is restored into it. Raises Failure."""
    require_left(directory, "the restore", FIX)
