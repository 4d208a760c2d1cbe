"""RAM, and what containers may use of RAM and swap."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.registry import check
from gpuhost.domain.sizes import GB, gb
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# A machine sold with 8 GB shows less: firmware and the kernel reserve a part.
RESERVED_SHARE = 0.06


@check("memory.total", "The host has at least `memory_min_gb` of RAM.")
def total(snapshot: Snapshot, settings: Settings) -> Verdict:
    required = settings.memory_min_gb * GB * (1 - RESERVED_SHARE)
    expected = f"at least {settings.memory_min_gb:g} GB"
    if snapshot.memory.total >= required:
        return ok(gb(snapshot.memory.total), expected=expected)
    return fail(
        expected, gb(snapshot.memory.total), fix="use a larger machine, or lower memory_min_gb"
    )


@check("memory.available", "At least 10% of RAM and swap is free.")
def available(snapshot: Snapshot, settings: Settings) -> Verdict:
    memory = snapshot.memory
    free = memory.available + memory.swap_free
    share = free / (memory.total + memory.swap_total)
    if share >= 0.1:
        return ok(f"{gb(free)} free")
    return warn("at least 10% free", f"{gb(free)} free", fix="docker stats; systemd-cgtop -m")
