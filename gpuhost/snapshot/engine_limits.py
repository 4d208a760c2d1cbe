"""The limits that containers inherit: those of containerd, with all that its unit sets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.domain.docker.ulimits import Limit, amount, limit
from gpuhost.snapshot.engine import ENGINE_RUNS
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import CONTAINERD, ENGINE, read_unit

NR_OPEN = "/proc/sys/fs/nr_open"
REQUEST = Request(
    files=(NR_OPEN,),
    probes=(
        ProbeCommand(
            "engine_limits",
            "sh -c 'cd \"/proc/$(pidof -s containerd)\" && cat limits uid_map status'",
            at_once=True,
            only_if=ENGINE_RUNS,
        ),
    ),
)
LOCKED = re.compile(r"^Max locked memory +(\w+) +(\w+) ", re.MULTILINE | re.ASCII)
FILES = re.compile(r"^Max open files +\w+ +(\w+) ", re.MULTILINE | re.ASCII)
CAPABILITIES = re.compile(r"^CapEff:\s*([0-9a-f]{1,16})$", re.MULTILINE)
# The users of a container in which the whole host runs (LXC) are others outside of it.
USERS = re.compile(r"^ *0 +([0-9]+) +[0-9]+ *$", re.MULTILINE | re.ASCII)
CAP_SYS_RESOURCE = 24


@dataclass(frozen=True)
class EngineLimits:
    """None: not known.

    + memlock: bytes of locked memory
    + nofile: open files. Containerd raises its own soft limit, as all programs in Go, and starts
      containers with the one of its unit: 1024 since containerd 2.1.5, with Docker 29 (moby#51485)
    + most_files: no limit can be higher, "infinity" neither (fs.nr_open)
    + may_raise: whether a container can get more than containerd has
    + unit: starts the containers
    """

    memlock: Limit | None = None
    nofile: Limit | None = None
    most_files: int | None = None
    may_raise: bool | None = None
    unit: str = CONTAINERD

    @classmethod
    def read(cls, probes: Probes) -> EngineLimits:
        out = probes.get("engine_limits").out if "engine_limits" in probes else ""
        unit = next((u for u in (CONTAINERD, ENGINE) if read_unit(probes, u).active), CONTAINERD)
        locked, files = LOCKED.search(out), FILES.search(out)
        most = amount(probes.file(NR_OPEN) or "")
        nofile = read_unit(probes, unit).nofile
        hard = (amount(files[1]) if files else None) or (nofile.hard if nofile else None)
        if nofile and hard is not None:
            hard = min(hard, most or hard)
            nofile = Limit(min(nofile.soft, hard), hard)
        return cls(
            limit(locked[1], locked[2]) if locked else None, nofile, most, _may_raise(out), unit
        )


def _may_raise(out: str) -> bool | None:
    """Only CAP_SYS_RESOURCE of the kernel's own user namespace raises a hard limit (prlimit(2))."""
    capabilities, users = CAPABILITIES.search(out), USERS.search(out)
    if capabilities is None or users is None:
        return None
    return users[1] == "0" and bool(int(capabilities[1], 16) >> CAP_SYS_RESOURCE & 1)
