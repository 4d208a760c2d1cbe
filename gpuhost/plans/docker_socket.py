"""Who can use the sockets of the host's engines: all of these are root by them."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.plans.docker_flags import engine_setting
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.engine_sockets import SocketAccess
from gpuhost.snapshot.units import ENGINE, ENGINE_SOCKET

DOCKER = "/docker.sock"
GROUPS = ("root", "docker")


@dataclass(frozen=True)
class OpenSocket:
    """A socket that users can write whom nobody made root."""

    socket: SocketAccess
    users: str

    def __str__(self) -> str:
        access = f"{self.socket.mode} {self.socket.owner}:{self.socket.group}"
        return f"{self.users} can write {self.socket.path} ({access})"

    @property
    def fix(self) -> str:
        """Docker and its socket unit set the mode again when they start."""
        path = self.socket.path
        if path.endswith(DOCKER):
            return f"systemctl restart {ENGINE_SOCKET} {ENGINE}, or chmod 660 {path}; if it comes "
            f"back, a drop-in of {ENGINE_SOCKET} sets SocketMode or SocketGroup"
        return f"chmod 660 {path}"


def open_sockets(snapshot: Snapshot) -> list[OpenSocket]:
    """Those of engines that run as root; a user's own engine gives only that user's rights."""
    groups = (*GROUPS, *_declared_groups(snapshot))
    opened = []
    for socket in snapshot.engine_sockets.access:
        is_dockers = socket.path.endswith(DOCKER)
        if socket.owner != "root":
            continue
        if socket.others_may:
            opened.append(OpenSocket(socket, "every user"))
        elif is_dockers and socket.group_may and socket.group not in groups:
            opened.append(OpenSocket(socket, f"the group {socket.group}"))
    return opened


def _declared_groups(snapshot: Snapshot) -> list[str]:
    """dockerd's own setting: somebody chose that group."""
    group = engine_setting(snapshot, "group")
    return [str(group.value)] if group else []
