"""Units of systemd whose last start or run went wrong."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.snapshot.docker import read_units
from gpuhost.snapshot.probes import Probes

CONTAINERD = "containerd.service"
ENGINE = "docker.service"


@dataclass(frozen=True)
class FailedUnits:
    """failed: by name; stopped: what the running engine stands on, and starts at boot."""

    failed: tuple[str, ...]
    stopped: tuple[str, ...]

    @classmethod
    def read(cls, probes: Probes) -> FailedUnits:
        lines = (line.split() for line in probes.output("failed_units").splitlines())
        failed = tuple(sorted(words[0] for words in lines if words[2:3] == ["failed"]))
        return cls(failed, _stopped(probes, failed))


def _stopped(probes: Probes, failed: tuple[str, ...]) -> tuple[str, ...]:
    units = read_units(probes)
    engine, below = units.get(ENGINE), units.get(CONTAINERD)
    if engine is None or below is None or CONTAINERD in failed:
        return ()
    is_stopped = below.loaded and below.enabled and not below.active
    return (CONTAINERD,) if engine.active and is_stopped else ()
