"""The apt cache for builds on the host, and its address."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import Request
from gpuhost.snapshot.units import Unit, read_unit

GATEWAY = re.compile(r"^\d+: docker0\s+inet (\d+\.\d+\.\d+\.\d+)/", re.MULTILINE)
CACHE, CACHE_UNIT = "apt-cacher-ng", "apt-cacher-ng.service"
REQUEST = Request(packages=(CACHE,), units=(CACHE_UNIT,))


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
        address = GATEWAY.search(probes.get("addresses").out)
        return cls(
            address[1] if address else None,
            installed_packages(probes).get(CACHE),
            read_unit(probes, CACHE_UNIT),
        )
