"""known_hosts by name: paramiko compares every line with a host, three times for each login, and
with every other line when it loads the file.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyinfra.connectors.sshuserclient.client
from paramiko import HostKeys
from paramiko.hostkeys import HostKeyEntry
from typing_extensions import override

HASHED = "|1|"


class KnownHosts(HostKeys):
    """Files of known_hosts; entries may be added, not removed."""

    _entries: list[HostKeyEntry]

    def __init__(self, filename: str | None = None) -> None:
        self._places: dict[str, list[int]] = {}
        # Place, salt and HMAC-SHA1 of each name that `ssh-keygen -H` has hashed.
        self._hashed: list[tuple[int, bytes, bytes]] = []
        self._count = 0
        self._found: dict[str, list[HostKeyEntry]] = {}
        super().__init__(filename)

    @override
    def lookup(self, hostname: str) -> Any:
        self._index_new()
        if hostname not in self._found:
            self._found[hostname] = [self._entries[n] for n in sorted(self._matching(hostname))]
        matching: Any = HostKeys()
        matching._entries = self._found[hostname]
        return matching.lookup(hostname)

    def _index_new(self) -> None:
        if self._count == len(self._entries):
            return
        for place in range(self._count, len(self._entries)):
            for name in self._entries[place].hostnames:
                self._places.setdefault(name, []).append(place)
                if name.startswith(HASHED):
                    self._hashed += _parts(place, name)
        self._count = len(self._entries)
        self._found.clear()

    def _matching(self, hostname: str) -> set[int]:
        places = set(self._places.get(hostname, ()))
        if not hostname.startswith(HASHED):
            name = hostname.encode()
            for place, salt, digest in self._hashed:
                if hmac.digest(salt, name, "sha1") == digest:
                    places.add(place)
        return places


def _parts(place: int, name: str) -> Iterator[tuple[int, bytes, bytes]]:
    """`|1|SALT|HMAC`, both in base64; what is written otherwise matches no name."""
    with suppress(ValueError):
        salt, digest = map(b64decode, name.removeprefix(HASHED).split("|"))
        yield place, salt, digest


def index_known_hosts() -> None:
    """From now on pyinfra loads known_hosts as KnownHosts."""
    pyinfra.connectors.sshuserclient.client.HostKeys = KnownHosts  # type: ignore[misc, assignment]
