"""Fleets for pages: one with every kind of host, a hostile one, and a large one.

    python -m tests.drift.pages >tests/fixtures/drift/page.html

writes the page of the first fleet.
"""

from __future__ import annotations

import sys
from importlib.metadata import version

from gpuhost.checks.finding import Finding, Status
from gpuhost.drift.difference import Cause, Difference
from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.drift.since import UNREAD
from gpuhost.fleet.host_status import HostStatus
from gpuhost.outputs.drift_page import page
from gpuhost.settings.types import Ignored
from tests.drift.findings import CHAIN, DRIVER, FULL, IDS, LOADED, RAM, REBOOT, SWAP

# 2026-11-22 04:05 UTC, and two days before.
AT = 1795320300
APPLIED = AT - 2 * 86400
NEW = frozenset(
    {
        ("gpu3.example.com", "nvidia.driver"),
        ("gpu3.example.com", "disk.full"),
        ("gpu7.example.com", UNREAD),
    }
)

MORE_DISK = Ignored(id="disk.full", reason="the new disk comes in December", until="2026-12-31")
MORE_RAM = Ignored(id="memory.total", reason="two modules were ordered", until="2026-11-01")


def good(*but: Difference, without: tuple[str, ...] = ()) -> list[Difference]:
    """Findings of every check: ok, or skipped for some nouns, except the given ones."""
    wrong = {one.finding.id: one for one in but}
    return [
        wrong.get(id)
        or Difference(
            Finding(Status.SKIP, actual="no card", id=id)
            if id.partition(".")[0] in without
            else Finding(Status.OK, "as declared", "as declared", id=id)
        )
        for id in IDS
    ]


def host(name: str, *but: Difference, applied: bool = True, cpu: bool = False) -> HostDrift:
    without = ("nvidia", "toolkit") if cpu else ("proxy",)
    return HostDrift.of(
        name,
        good(*but, without=without),
        applied_at=APPLIED if applied else None,
        applied_by="ada@desk" if applied else "",
    )


def everything() -> DriftReport:
    """A host of every kind, in the order of an inventory."""
    return DriftReport(
        (
            host("gpu1.example.com"),
            host(
                "gpu2.example.com",
                Difference(FULL, Cause.DRIFT, accepted=MORE_DISK),
                Difference(REBOOT, Cause.DRIFT),
            ),
            host(
                "gpu3.example.com",
                Difference(DRIVER, Cause.DRIFT),
                Difference(CHAIN, Cause.DRIFT),
                Difference(SWAP, Cause.PENDING),
                Difference(RAM, Cause.NEVER_APPLIED, expired=MORE_RAM),
                Difference(FULL, Cause.DRIFT),
                Difference(REBOOT, Cause.DRIFT, accepted=MORE_DISK),
            ),
            host("gpu4.example.com", Difference(SWAP, Cause.PENDING)),
            host("fresh.example.com", Difference(RAM, Cause.NEVER_APPLIED), applied=False),
            host("gpu5.example.com", Difference(LOADED), Difference(REBOOT, Cause.DRIFT)),
            HostDrift(
                "gpu6.example.com",
                HostStatus.UNREACHABLE,
                reason="Could not connect (Unable to connect to port 22 on 203.0.113.16)",
                fix="look whether it runs, and whether port 22 is reachable from here",
            ),
            HostDrift(
                "gpu7.example.com",
                HostStatus.UNREACHABLE,
                reason="the host key is not the one in known_hosts",
                fix="ssh-keygen -R gpu7.example.com; ssh gpu7.example.com, and compare the key "
                "with the one on its console",
            ),
            HostDrift(
                "gpu8.example.com",
                HostStatus.ERROR,
                reason="swap_size_gb = '16' (group gpu): \"auto\" or a number of GB",
                bad_settings=True,
            ),
            host("cpu1.example.com", cpu=True),
        ),
        AT,
    )


def hostile() -> DriftReport:
    """Hosts that try to run code in the reader's browser."""
    script = "<script>document.title = 'taken'</script>"
    image = '"><img src=x onerror="document.title=\'taken\'">'
    controls = "a\x00b\x1b[31mc\x07d\x9be\u202ef\ufeffg\ud800h\tj\r\nk"
    finding = Finding(Status.FAIL, script, image, script + controls, controls, id="disk.full")
    refused = Ignored(id="disk.full", reason=script, until="2026-01-01")
    return DriftReport(
        (
            HostDrift.of(
                f"bad{script}",
                [Difference(finding, Cause.DRIFT, expired=refused)],
                applied_at=APPLIED,
                applied_by=script,
            ),
            HostDrift(f"worse{image}", HostStatus.UNREACHABLE, reason=script, fix=image + controls),
            HostDrift.of(
                "long-" * 60,
                [
                    Difference(Finding(Status.FAIL, "x" * 9000, "y" * 9000, id="disk.free")),
                    Difference(Finding(Status.UNKNOWN, actual=script, id="app.<b>.x")),
                ],
            ),
        ),
        AT,
        interrupted=True,
    )


def many(count: int = 1000) -> DriftReport:
    """A large fleet with a usual number of findings."""
    names = [f"gpu{number:04}.example.com" for number in range(count)]
    return DriftReport(tuple(_one_of_many(*one) for one in enumerate(names)), AT)


def _one_of_many(number: int, name: str) -> HostDrift:
    if number % 50 == 7:
        reason = "Could not connect (timed out)"
        return HostDrift(name, HostStatus.UNREACHABLE, reason=reason, fix="look whether it runs")
    every = {
        20: Difference(DRIVER, Cause.DRIFT),
        30: Difference(SWAP, Cause.PENDING),
        25: Difference(CHAIN, Cause.DRIFT),
        3: Difference(REBOOT, Cause.DRIFT),
        70: Difference(LOADED),
    }
    return host(name, *(one for step, one in every.items() if number % step == 1))


def golden() -> str:
    """The page of `everything`, without the version."""
    return page(everything(), new=NEW).replace(f"gpuhost {version('gpuhost')}", "gpuhost VERSION")


if __name__ == "__main__":
    sys.stdout.write(golden())
