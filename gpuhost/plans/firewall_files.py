"""The files that gpuhost installs for its firewall: the guard, and two units that run it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from gpuhost.domain.rendering import render
from gpuhost.plans.host_file import HostFile
from gpuhost.settings import Settings
from gpuhost.snapshot.request import Request

GUARD = "/usr/local/lib/gpuhost/firewall"
LOAD_UNIT = "gpuhost-firewall.service"
UNDO_UNIT = "gpuhost-firewall-revert.service"


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


def request(settings: Settings) -> Request:
    units = (LOAD_UNIT, UNDO_UNIT)
    return Request(units=units, managed=tuple(file.path for file in host_files()))
