"""The kernels of a host, their NVIDIA modules, and whether these may be loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

MODULE_LISTS = re.compile(r"/(?:usr/)?lib/modules/([^/]+)/modules\.dep:([^:]+):")
# Companions of the driver's module, and modules with a similar name.
COMPANIONS = ("-uvm", "-modeset", "-drm", "-peermem", "-backlight", "fb")
# Where DKMS and NVIDIA's installer put the modules that they build on the host, unsigned by others.
BUILT_HERE = ("updates/", "extra/", "kernel/drivers/video/nvidia")
CMDLINE = "/proc/cmdline"
# A machine owner key of this host signs the modules that DKMS builds here (mokutil(1)).
OWNER_KEYS = ("/var/lib/dkms/mok.pub", "/var/lib/shim-signed/mok/MOK.der")
KEYS = tuple(f"key_{path.rpartition('/')[2]}" for path in OWNER_KEYS)
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Lines of modprobe.d(5) that keep a driver from being loaded.
NOUVEAU_LINE = "^[[:space:]]*(blacklist|install|alias)[[:space:]]+nouveau"
DRIVER_LINE = (
    "^[[:space:]]*(install[[:space:]]+nvidia[a-z0-9_-]*[[:space:]]+(/usr)?/bin/(false|true)"
    "|alias[[:space:]]+nvidia[a-z0-9_-]*[[:space:]]+off)"
)
REQUEST = Request(
    files=(CMDLINE,),
    probes=(
        ProbeCommand("kernels", r"find /boot -maxdepth 1 -name 'vmlinuz-*' -printf '%f\n'"),
        ProbeCommand(
            "kernel_modules",
            r"grep -sHoE '^[^:]*/(nvidia[a-z0-9-]*|nouveau)\.ko[^:]*:' /lib/modules/*/modules.dep",
            absent=Probe(1),
        ),
        ProbeCommand(
            "boot_entry",
            "grep -sHE '^ *(GRUB_DEFAULT|saved_entry|next_entry)=' /etc/default/grub"
            " /etc/default/grub.d/*.cfg /boot/grub/grubenv",
            absent=Probe(2),
        ),
        ProbeCommand(
            "nouveau_off",
            f"grep -shE -e '{NOUVEAU_LINE}' -e '{DRIVER_LINE}'"
            " /etc/modprobe.d/*.conf /run/modprobe.d/*.conf /lib/modprobe.d/*.conf",
            absent=Probe(1),
        ),
        ProbeCommand("secure_boot", f"od -An -v -tu1 {SECURE_BOOT}", absent=Probe(1)),
        *(
            ProbeCommand(name, f"mokutil --test-key {path}", seconds=5, only_if=f"[ -e {path} ]")
            for name, path in zip(KEYS, OWNER_KEYS, strict=True)
        ),
    ),
)


@dataclass(frozen=True)
class Module:
    """A kernel's NVIDIA module. path: below /lib/modules/RELEASE, as modules.dep has it."""

    path: str

    @property
    def built_here(self) -> bool:
        """Built on the host by DKMS or an installer, not signed by the distribution."""
        return self.path.startswith(BUILT_HERE)


@dataclass(frozen=True)
class SecureBoot:
    """Whether the firmware refuses unsigned modules, and what it accepts.

    + on: the firmware enforces it; False without UEFI
    + enrolled: the firmware accepts the key of modules that are built here; None: unknown, because
      mokutil is missing
    + key: such a key exists
    """

    on: bool
    enrolled: bool | None
    key: bool

    @classmethod
    def read(cls, probes: Probes) -> SecureBoot:
        if "secure_boot" not in probes:
            raise NotRead("the collector did not read the state of Secure Boot")
        probe = probes.get("secure_boot")
        if probe.rc is None:
            raise NotRead("reading the state of Secure Boot timed out")
        # Four bytes of attributes, then the value (UEFI specification, "Global Variables").
        on = probe.rc == 0 and probe.out.split()[4:5] == ["1"]
        tests = [probes.get(name) for name in KEYS if name in probes]
        enrolled = [_is_enrolled(test.out + test.err) for test in tests]
        known = None if None in enrolled else False
        return cls(on, True if True in enrolled else known, bool(tests))


def _is_enrolled(output: str) -> bool | None:
    if "already enrolled" in output:
        return True
    return False if "not enrolled" in output else None


@dataclass(frozen=True)
class Kernels:
    """The installed kernels, oldest first.

    + running: `uname -r`
    + nvidia: the NVIDIA module of each kernel that has one
    + nouveau: the kernels that could load nouveau
    + chosen: the boot entry that GRUB is configured for, number or title; "": the newest
    + nouveau_off: nouveau is blacklisted
    + driver_off: the line of modprobe's configuration that blocks NVIDIA's driver; "": none
    + uvm_off: the line that blocks its module for CUDA, or the driver itself
    """

    running: str
    installed: tuple[str, ...]
    nvidia: dict[str, Module]
    nouveau: frozenset[str]
    chosen: str
    nouveau_off: bool
    driver_off: str = ""
    uvm_off: str = ""

    @cached_property
    def next(self) -> str | None:
        """The kernel of the next boot; None if no kernel is on disk, as in a container."""
        named = [release for release in self.installed if release in self.chosen]
        if named:
            return max(named, key=len)
        return self.installed[-1] if self.installed else None

    @classmethod
    def read(cls, probes: Probes) -> Kernels:
        words = probes.output("kernel").split()
        if len(words) != 4:
            raise NotRead("uname did not print four words")
        options = probes.output("nouveau_off", allow=(0, 1, 2)).splitlines()
        modules = list(_modules(probes.output("kernel_modules", allow=(0, 1, 2))))
        names = probes.output("kernels", allow=(0, 1)).splitlines()
        releases = {name.removeprefix("vmlinuz-") for name in names if name.startswith("vmlinuz-")}
        return cls(
            running=words[2],
            installed=tuple(sorted(releases, key=_by_version)),
            nvidia={release: Module(path) for release, path in modules if _is_driver(path)},
            nouveau=frozenset(release for release, path in modules if "/nouveau.ko" in path),
            chosen=_chosen(probes.output("boot_entry", allow=(0, 1, 2))),
            nouveau_off=any(_about(line).startswith("nouveau") for line in options)
            or "blacklist=nouveau" in (probes.file(CMDLINE) or ""),
            driver_off=next((line.strip() for line in options if _is_driver(_about(line))), ""),
            uvm_off=_blacklisted(probes.file(CMDLINE) or "") or _uvm_off(options),
        )


def _about(line: str) -> str:
    """The module that a line of modprobe's configuration is about."""
    words = line.split()
    return words[1].replace("_", "-") if len(words) > 1 else ""


def _is_uvm(name: str) -> bool:
    return name == "nvidia-uvm" or _is_driver(name)


def _uvm_off(options: list[str]) -> str:
    """The line about the module itself goes first."""
    lines = [line.strip() for line in options if _is_uvm(_about(line))]
    return max(lines, key=lambda line: "uvm" in line, default="")


def _blacklisted(cmdline: str) -> str:
    """The word of the kernel's command line that keeps the driver's modules away."""
    words = (word for word in cmdline.split() if word.startswith("module_blacklist="))
    names = ((word, word.partition("=")[2].replace("_", "-").split(",")) for word in words)
    return next((word for word, off in names if any(map(_is_uvm, off))), "")


def _modules(listing: str) -> Iterator[tuple[str, str]]:
    for line in listing.splitlines():
        if match := MODULE_LISTS.fullmatch(line):
            yield match[1], match[2]


def _is_driver(path: str) -> bool:
    name = path.rpartition("/")[2].partition(".ko")[0]
    return name.startswith("nvidia") and not name.endswith(COMPANIONS)


def _chosen(assignments: str) -> str:
    """GRUB's entry: the one set by `grub-reboot`, else the saved one, else GRUB_DEFAULT."""
    values = {}
    for line in assignments.splitlines():
        key, _, value = line.rpartition(":")[2].strip().partition("=")
        values[key] = value.strip().strip("\"'")
    default = values.get("GRUB_DEFAULT", "")
    saved = values.get("saved_entry", "") if default == "saved" else default
    return values.get("next_entry") or saved


def _by_version(release: str) -> list[tuple[int, int, str]]:
    """6.1.0-9 before 6.1.0-18."""
    parts = re.findall(r"\d{1,18}|[^\d]+", release)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
