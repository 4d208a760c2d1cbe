"""Whether the host needs a reboot."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.snapshot.probes import Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.system import CONTAINER

REBOOT_REQUIRED = "/run/reboot-required"
REBOOT_PACKAGES = f"{REBOOT_REQUIRED}.pkgs"
MODULE_LIST = re.compile(r"^/lib/modules/([^/*]+)/modules\.dep$", re.MULTILINE)
# 1: no module can be loaded any more, until the next boot (kernel.org, sysctl/kernel).
NO_MODULES = "/proc/sys/kernel/modules_disabled"
REQUEST = Request(
    files=(REBOOT_REQUIRED, REBOOT_PACKAGES, NO_MODULES),
    plain=(REBOOT_REQUIRED,),
    probes=(
        # The removal of a kernel takes its modules, also while it runs; the directory may stay.
        ProbeCommand("module_lists", r"printf '%s\n' /lib/modules/*/modules.dep", at_once=True),
        ProbeCommand("modular", "head -c 1 /proc/modules", absent=Probe(1), at_once=True),
    ),
)


@dataclass(frozen=True)
class Reboot:
    """Why the host needs a reboot.

    + packages: from the mark of Ubuntu and unattended-upgrades
    + without_modules: the running kernel, if its modules are no longer on disk; "": they are, or it
      has none
    + locked: no module can be loaded until the next boot
    """

    packages: tuple[str, ...]
    without_modules: str = ""
    locked: bool = False

    @classmethod
    def read(cls, probes: Probes) -> Reboot:
        listed = probes.file(REBOOT_PACKAGES) or ""
        packages = {line.strip() for line in listed.splitlines() if line.strip()}
        locked = (probes.file(NO_MODULES) or "").strip() == "1" and not probes.file(CONTAINER)
        return cls(tuple(sorted(packages)), _without_modules(probes), locked)


def _without_modules(probes: Probes) -> str:
    """A kernel that has loaded modules, and whose directory alone is missing."""
    if probes.file(CONTAINER) or not all(name in probes for name in ("module_lists", "modular")):
        return ""
    words = probes.get("kernel").out.split()
    kept = MODULE_LIST.findall(probes.get("module_lists").out)
    if len(words) != 4 or not kept or not probes.get("modular").out:
        return ""
    return words[2] if words[2] not in kept else ""
