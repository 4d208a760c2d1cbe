"""Limits of what an SSH server sends before the login and in each packet.

paramiko reads a line before the key exchange, and a packet, of any length. While there is data,
gevent's `recv` does not wait: without a pause no other host of this process is served.
"""

from __future__ import annotations

import time
from typing import Any

import gevent  # type: ignore[import-untyped]
from paramiko import SSHException
from paramiko.packet import Packetizer

# As OpenSSH: SSH_MAX_BANNER_LEN and PACKET_MAX_SIZE. RFC 4253 has 255 and 35,000 bytes.
LINE_BYTES = 8192
PACKET_BYTES = 256 * 1024

_read_all = Packetizer.read_all


def limit_packets() -> None:
    """From now on all SSH connections of this process have these limits."""
    packetizer: Any = Packetizer
    packetizer.readline, packetizer.read_all = _line, _bytes


def _line(self: Any, timeout: float) -> str:
    """In place of paramiko's `readline`. timeout: of the whole line"""
    end = time.monotonic() + timeout
    received: bytes = self._Packetizer__remainder
    while b"\n" not in received:
        if len(received) > LINE_BYTES:
            raise SSHException(f": a line of more than {LINE_BYTES} bytes")
        if time.monotonic() > end:
            raise SSHException(f": no whole line within {timeout:g} s")
        gevent.sleep(0)
        received += self._read_timeout(timeout)
    line, _, self._Packetizer__remainder = received.partition(b"\n")
    return line.removesuffix(b"\r").decode()


def _bytes(self: Packetizer, count: int, check_rekey: bool = False) -> bytes:
    """In place of paramiko's `read_all`, which reads the parts of a packet."""
    if count > PACKET_BYTES:
        raise SSHException(f"a packet of more than {PACKET_BYTES} bytes")
    gevent.sleep(0)
    return bytes(_read_all(self, count, check_rekey))
