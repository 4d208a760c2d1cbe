"""Hosts with a simulated card and Debian's real driver packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.e2e.commands import Run, check, deploy
from tests.lab import compiled
from tests.lab.hosts import LabHost

BUILD_SECONDS = 2400
# Debian's name for the driver's own module.
MODULE = "nvidia-current"
INSTALLING: dict[str, Any] = {"nvidia_driver": "install"}
# Debian's nvidia-legacy-check asks lspci for old cards. The simulated bus has no configuration
# space, which the real one wants to read.
LSPCI = b"""#!/bin/sh
cd /sys/bus/pci/devices || exit 1
for slot in *; do
    read -r class <"$slot/class"; read -r vendor <"$slot/vendor"; read -r device <"$slot/device"
    short=$(echo "$class" | cut -c3-6)
    echo "${slot#0000:} \\"$short\\" \\"${vendor#0x}\\" \\"${device#0x}\\""
done
"""


@dataclass(frozen=True)
class Driven:
    """A host that gets the driver.

    **Example:** ``Driven(host).provision().status``
    """

    host: LabHost

    def prepare(self) -> None:
        """Make the blank host what a server is: a kernel, and GRUB's setting of what boots."""
        self.host.run("apt-get -q update")
        compiled.reuse(self.host)
        self.install("linux-image-amd64", "python3")
        self.host.put("/etc/default/grub", b"GRUB_DEFAULT=0\n")
        self.host.run("dpkg-divert --local --divert /usr/bin/lspci.real --add /usr/bin/lspci")
        self.host.put("/usr/bin/lspci", LSPCI, mode=0o755)

    def provision(self) -> Run:
        """The deploy, with patience for a build."""
        alone = "tests/e2e/nvidia_alone.py"
        return deploy(self.host, deploy=alone, seconds=BUILD_SECONDS, **INSTALLING)

    def problems(self) -> dict[str, str]:
        """The NVIDIA checks that are neither ok nor skipped."""
        statuses = check(self.host, **INSTALLING).status
        return {
            id: status
            for id, status in statuses.items()
            if id.startswith("nvidia.") and status not in ("ok", "skip")
        }

    def install(self, *packages: str) -> None:
        self._apt("install --no-install-recommends", *packages)

    def purge(self, *packages: str) -> None:
        self._apt("purge", *packages)

    def kernels(self) -> set[str]:
        """The installed kernels."""
        return set(self.host.run("ls /boot | sed -n s/^vmlinuz-//p").stdout.split())

    def module_version(self, kernel: str) -> str:
        """The version of the kernel's module; empty if it has none."""
        command = f"modinfo -k {kernel} -F version {MODULE}"
        return self.host.run(command, check=False).stdout.strip()

    def _apt(self, verb: str, *packages: str) -> None:
        command = f"DEBIAN_FRONTEND=noninteractive apt-get -q -y {verb} {' '.join(packages)}"
        self.host.run(command, timeout=BUILD_SECONDS)
