"""The apt cache for builds on the host, and its address."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.probes import Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import Unit, read_unit

ADDRESS = re.compile(r"\sinet (\d+\.\d+\.\d+\.\d+)/")
CACHE, CACHE_UNIT = "apt-cacher-ng", "apt-cacher-ng.service"
REQUEST = Request(
    packages=(CACHE,),
    units=(CACHE_UNIT,),
    probes=(
        ProbeCommand("docker0", "ip -4 -o address show dev docker0", absent=Probe(1), at_once=True),
    ),
)


@dataclass(frozen=True)
class Build:
    """+ gateway: docker0's IPv4 address; None: no such bridge
    + cache: the version of apt-cacher-ng, None if it is not installed
    """

    gateway: str | None
    cache: str | None
    service: Unit

    @classmethod
    def read(cls, probes: Probes) -> Build:
        address = ADDRESS.search(probes.get("docker0").out) if "docker0" in probes else None
        return cls(
            address[1] if address else None,
            installed_packages(probes).get(CACHE),
            read_unit(probes, CACHE_UNIT),
        )
