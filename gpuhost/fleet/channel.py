"""Messages between the command and its worker processes: a length, then a pickle."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Iterator
from typing import Any

HEAD = struct.Struct(">I")
READ_BYTES = 1 << 20


def pack(message: Any) -> bytes:
    text = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return HEAD.pack(len(text)) + text


def write(handle: int, packed: bytes) -> None:
    """Write all of it. Raises OSError if nobody reads any more."""
    rest = memoryview(packed)
    while rest:
        rest = rest[os.write(handle, rest) :]


class Receiver:
    """Collects what arrives on a pipe, which may be part of a message or several messages."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._received = bytearray()

    def read(self) -> bool:
        """Read once; it waits for data if there is none. Returns False at the end."""
        some = os.read(self.handle, READ_BYTES)
        self._received += some
        return bool(some)

    def messages(self) -> Iterator[Any]:
        """The messages that are complete. Only this program's own processes send them."""
        while len(self._received) >= HEAD.size:
            (length,) = HEAD.unpack_from(self._received)
            end = HEAD.size + length
            if len(self._received) < end:
                return
            message = pickle.loads(self._received[HEAD.size : end])  # noqa: S301
            del self._received[:end]
            yield message
