"""The sockets on which container engines answer, and who can use them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from gpuhost.snapshot.probes import Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

SOCKETS = "docker|podman|containerd|crio|cri-dockerd|balena-engine"
# Sockets of other network namespaces are not in it: those of engines inside containers.
LISTENERS = rf"""found=$(grep -aE " 00010000 .*/({SOCKETS})\.sock\$" /proc/net/unix) || exit
printf "%s\n" "$found"
for word in $found; do case $word in /*) set -- "$@" "$word" "${{word%/*}}/" ;; esac; done
stat -c "%a %U %G %n" -- "$@" 2>/dev/null
exit 0"""
LISTENING, SOCKET = " 00010000 ", re.compile(rf"/\S*/(?:{SOCKETS})\.sock")
ACCESS = re.compile(r"^([0-7]{1,4}) (\S+) (\S+) (/.*)$", re.MULTILINE)
REQUEST = Request(
    probes=(
        ProbeCommand("engine_sockets", f"sh -c {quote(LISTENERS)}", at_once=True, absent=Probe(1)),
    )
)


@dataclass(frozen=True, order=True)
class SocketAccess:
    """Who can connect to a socket: whoever may write it.

    + mode: four octal digits
    + hidden: only its directory's owner and group get to it
    """

    path: str
    mode: str
    owner: str
    group: str
    hidden: bool = False

    @property
    def others_may(self) -> bool:
        return bool(int(self.mode, 8) & 0o002) and not self.hidden

    @property
    def group_may(self) -> bool:
        return bool(int(self.mode, 8) & 0o020)


@dataclass(frozen=True)
class EngineSockets:
    """+ access: to the sockets; without those whose mode could not be read"""

    access: tuple[SocketAccess, ...]

    @classmethod
    def read(cls, probes: Probes) -> EngineSockets:
        return cls(tuple(sorted(set(_access(_output(probes))))))


def listening(probes: Probes) -> tuple[str, ...]:
    """The paths of all."""
    found = {line.rpartition(" ")[2] for line in _output(probes).splitlines() if LISTENING in line}
    return tuple(sorted(filter(SOCKET.fullmatch, found)))


def _output(probes: Probes) -> str:
    return probes.output("engine_sockets", allow=(0, 1))


def _access(text: str) -> Iterator[SocketAccess]:
    """`660 root docker /run/docker.sock`, and `755 root root /run/` of its directory."""
    found = ACCESS.findall(text)
    closed = {path for mode, _, _, path in found if path.endswith("/") and not int(mode, 8) & 1}
    for mode, owner, group, path in found:
        if not path.endswith("/"):
            hidden = f"{path.rpartition('/')[0]}/" in closed
            yield SocketAccess(path, mode.zfill(4), owner, group, hidden)
