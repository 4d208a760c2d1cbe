"""Ports that break the SSH protocol before any login, each in its own way.

Run as a program: it prints the port of each attack as JSON, and ends with its standard input.
"""

from __future__ import annotations

import itertools
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable

ADDRESS = "127.0.0.21"
TERMINAL = b"\x1b]0;owned\x07\x1b[2Jhello \xe2\x80\xae\n"
VERSION = b"SSH-2.0-x\r\n"
# Packets before the key exchange: length, length of the padding, SSH_MSG_IGNORE "", padding.
IGNORE = struct.pack(">IBBI6x", 12, 6, 2, 0)
LARGE = struct.pack(">IB", 0x7FFFFFFC, 4)


def attacks() -> dict[str, Iterable[bytes]]:
    """What each port sends, piece by piece."""
    return {
        "endless line": itertools.repeat(b"A" * 65536),
        "endless lines": itertools.repeat(b"A\n" * 30000),
        "slow line": itertools.repeat(b"A", 600),
        "terminal": [TERMINAL * 300],
        "no text": [b"\xff\xfe\n" * 300],
        "version": [b"SSH-9.9-\x1b]0;owned\x07\n"],
        "endless packets": itertools.chain([VERSION], itertools.repeat(IGNORE * 4096)),
        "large packet": itertools.chain([VERSION, LARGE], itertools.repeat(b"\0" * 65536)),
    }


def serve(listener: socket.socket, name: str) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=send, args=(connection, name), daemon=True).start()


def send(connection: socket.socket, name: str) -> None:
    try:
        for piece in attacks()[name]:
            connection.sendall(piece)
            time.sleep(0.5 if len(piece) == 1 else 0)
        time.sleep(60)
    except OSError:
        pass


def main() -> None:
    ports = {}
    for name in attacks():
        listener = socket.create_server((ADDRESS, 0))
        ports[name] = listener.getsockname()[1]
        threading.Thread(target=serve, args=(listener, name), daemon=True).start()
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
