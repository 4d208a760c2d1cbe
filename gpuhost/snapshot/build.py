"""What builds on the host can use: the cache for apt, and the address where they find it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.snapshot.docker import Unit, installed_packages, read_units
from gpuhost.snapshot.probes import Probes

ADDRESS = re.compile(r"\sinet (\d+\.\d+\.\d+\.\d+)/")


@dataclass(frozen=True)
class Build:
    """+ gateway: docker0's IPv4 address; None: there is no such bridge
    + cache: the version of apt-cacher-ng, None if it is not installed
    """

    gateway: str | None
    cache: str | None
    service: Unit

    @classmethod
    def read(cls, probes: Probes) -> Build:
        found = ADDRESS.search(probes.get("docker0").out) if "docker0" in probes else None
        name = "apt-cacher-ng.service"
        return cls(
            found[1] if found else None,
            installed_packages(probes).get("apt-cacher-ng"),
            read_units(probes).get(name, Unit(name, False, False, False, None)),
        )
