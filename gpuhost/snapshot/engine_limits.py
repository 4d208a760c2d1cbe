"""The limits that containers inherit: those of containerd, with all that its unit sets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.snapshot.nvidia import HAS_NVIDIA_SMI
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request

REQUEST = Request(
    probes=(
        ProbeCommand(
            "engine_limits",
            "sh -c 'cat \"/proc/$(pidof -s containerd)/limits\"'",
            at_once=True,
            only_if=HAS_NVIDIA_SMI,
        ),
    )
)
LOCKED = re.compile(r"^Max locked memory +(\d{1,18}|unlimited) ", re.MULTILINE | re.ASCII)


@dataclass(frozen=True)
class EngineLimits:
    """Soft limits.

    + memlock: bytes of locked memory, "unlimited", or None: not known
    """

    memlock: str | None

    @classmethod
    def read(cls, probes: Probes) -> EngineLimits:
        out = probes.get("engine_limits").out if "engine_limits" in probes else ""
        match = LOCKED.search(out)
        return cls(match[1] if match else None)
