"""Builds of the driver's modules that failed.

DKMS keeps the log of a build beside its files until the build succeeds (do_build of dkms 3.0, 3.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.snapshot.probes import Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

FIRST_LINE = re.compile(r"DKMS .*make\.log for .+ for kernel (\S+)")
# gcc's and make's: a build that still runs has none.
ERROR = r"(: (fatal )?error: |[*][*][*] |gcc-[0-9]+: (command )?not found)"
# The driver's Makefile says so if it is not the compiler in use.
COMPILER = re.compile(r" *The kernel was built by: .*gcc.* (\d{1,2})\.\d+\.\d+ *", re.ASCII)
REQUEST = Request(
    probes=(
        ProbeCommand(
            "failed_builds",
            "grep -m 3 -sHE -e '^DKMS .*make[.]log for ' -e '^ *The kernel was built by: '"
            f" -e '{ERROR}'"
            " /var/lib/dkms/nvidia*/*/build/make.log",
            absent=Probe(1),
            at_once=True,
        ),
    )
)


@dataclass(frozen=True)
class FailedBuild:
    """+ error: the first one
    + compiler: the kernel's own, "gcc-12", if another one was used; "": it was not, or is not named
    """

    error: str
    compiler: str = ""

    def __str__(self) -> str:
        return self.error + (f" (the kernel was built by {self.compiler})" if self.compiler else "")


def read_failed_builds(probes: Probes) -> dict[str, FailedBuild]:
    """The last build that failed, by kernel."""
    failed: dict[str, FailedBuild] = {}
    kernel = compiler = ""
    for line in probes.output("failed_builds", allow=(0, 1, 2)).splitlines():
        path, _, text = line.partition(":")
        if match := FIRST_LINE.match(text):
            kernel, compiler = match[1], ""
        elif match := COMPILER.fullmatch(text):
            compiler = f"gcc-{match[1]}"
        elif kernel and kernel not in failed:
            error = text.replace(f"{path.rpartition('/')[0]}/", "")
            failed[kernel] = FailedBuild(error, compiler)
    return failed
