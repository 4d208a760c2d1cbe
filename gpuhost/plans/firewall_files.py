"""What gpuhost puts on the host for its firewall: the guard, and two units that run it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from gpuhost.domain.rendering import render
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.request import Request

GUARD = "/usr/local/lib/gpuhost/firewall"
LOAD_UNIT = "gpuhost-firewall.service"
UNDO_UNIT = "gpuhost-firewall-revert.service"


@dataclass(frozen=True)
class HostFile:
    """A file that is wholly ours. mode: four octal digits."""

    path: str
    content: str
    mode: str = "0644"

    @property
    def sha256(self) -> str:
        return sha256(self.content.encode()).hexdigest()


@cache
def host_files() -> tuple[HostFile, ...]:
    guard = files("gpuhost.plans").joinpath("firewall_guard.sh").read_text(encoding="utf-8")
    return (
        HostFile(GUARD, guard, "0755"),
        *(
            HostFile(
                f"/etc/systemd/system/{unit}",
                render(f"systemd/{unit}.j2", guard=GUARD, load_unit=LOAD_UNIT),
            )
            for unit in (LOAD_UNIT, UNDO_UNIT)
        ),
    )


def is_as_shipped(snapshot: Snapshot, file: HostFile) -> bool:
    """Content, mode and owner."""
    state = snapshot.paths.get(file.path)
    expected = (file.sha256, file.mode, "root")
    return state is not None and (state.sha256, state.mode, state.owner) == expected


def request(settings: Settings) -> Request:
    units = (LOAD_UNIT, UNDO_UNIT)
    return Request(units=units, managed=tuple(file.path for file in host_files()))
