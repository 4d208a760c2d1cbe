"""What the kernel has said since the boot, as far as it is about cards."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.nvidia.xid import CardError, parse
from gpuhost.snapshot.probes import NotRead, Probes


@dataclass(frozen=True)
class KernelLog:
    """Errors of cards, in the order in which they first came; what the log has dropped is gone."""

    card_errors: tuple[CardError, ...]

    @classmethod
    def read(cls, probes: Probes) -> KernelLog:
        probe = probes.get("kernel_log")
        # Of the two commands in this probe the exit status is the second one's.
        if probe.rc != 0 or probe.err.strip():
            raise NotRead(f"the kernel's log: {probe.complaint}")
        return cls(parse(probe.out))
