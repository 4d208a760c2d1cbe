"""RAM, and what containers may use of RAM and swap."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.registry import check
from gpuhost.domain.sizes import GB, format_size
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# A machine sold with 8 GB shows less: firmware and the kernel reserve a part.
RESERVED_SHARE = 0.06


@check("memory.total", "The host has at least `memory_min_gb` of RAM.")
def total(snapshot: Snapshot, settings: Settings) -> Verdict:
    required = settings.memory_min_gb * GB * (1 - RESERVED_SHARE)
    expected = f"at least {settings.memory_min_gb:g} GB"
    if snapshot.memory.total >= required:
        return ok(format_size(snapshot.memory.total), expected=expected)
    return fail(
        expected,
        format_size(snapshot.memory.total),
        fix="use a larger machine, or lower memory_min_gb",
    )


@check("memory.available", "At least 10% of RAM and swap is free, and can be reserved.")
def available(snapshot: Snapshot, settings: Settings) -> Verdict:
    memory = snapshot.memory
    free = memory.available + memory.swap_free
    every = memory.total + memory.swap_total
    if memory.committable is not None and memory.committable < 0.1 * every:
        return warn(
            "at least 10% can be reserved",
            f"{format_size(memory.committable)}: programs reserve more than they use, and with "
            "vm.overcommit_memory = 2 the kernel refuses it: containers do not start",
            evidence=f"{format_size(free)} free; CommitLimit and Committed_AS in /proc/meminfo",
            fix="sysctl -w vm.overcommit_memory=0; grep -rn overcommit /etc/sysctl.conf "
            "/etc/sysctl.d: remove the line",
        )
    if free >= 0.1 * every:
        return ok(f"{format_size(free)} free")
    huge = memory.huge >= 0.1 * every
    return warn(
        "at least 10% free",
        f"{format_size(free)} free",
        evidence=f"{format_size(memory.huge)} are kept for huge pages" if huge else "",
        fix="sysctl -w vm.nr_hugepages=0, unless a program uses them: grep HugePages /proc/meminfo"
        if huge
        else "docker stats; systemd-cgtop -m",
    )
