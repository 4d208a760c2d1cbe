"""The kernels of a host, their NVIDIA modules, and whether these may be loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from gpuhost.domain import modprobe
from gpuhost.domain.modprobe import Block, Line, module_name
from gpuhost.domain.nvidia.rivals import MODULES
from gpuhost.snapshot.boot_entry import BootEntry, read_boot_entry
from gpuhost.snapshot.failed_builds import FailedBuild, read_failed_builds
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

MODULE_LISTS = re.compile(r"/(?:usr/)?lib/modules/([^/]+)/modules\.dep:([^:]+):")
# /boot has room for a few.
MOST_KERNELS = 1000
# Companions of the driver's module.
COMPANIONS = ("-uvm", "-modeset", "-drm", "-peermem")
# Modules with a similar name: of GPUDirect Storage, vGPU's hypervisors, Tegra, the kernel itself.
OTHERS = ("-fs", "-vgpu-vfio", "-p2p", "-ec", "-pseq", "-backlight", "fb")
UVM = "-uvm"
# Where DKMS and NVIDIA's installer put the modules that they build on the host, unsigned by others.
BUILT_HERE = ("updates/", "extra/", "kernel/drivers/video/nvidia")
CMDLINE = "/proc/cmdline"
CONFIGURED = " ".join(f"{directory}/modprobe.d/*.conf" for directory in modprobe.DIRECTORIES)
BLOCKING_LINE = "^[[:space:]]*(blacklist|install|alias)[[:space:]]+(nouveau|nova|nvidia)"
BUILD = re.compile(r"/lib/modules/([^/]+)/build/Makefile")
REQUEST = Request(
    files=(CMDLINE,),
    probes=(
        ProbeCommand(
            "kernels", r"find /boot -maxdepth 1 -name 'vmlinuz-*' -printf '%f\n'", at_once=True
        ),
        ProbeCommand(
            "kernel_modules",
            r"grep -sHoE '^[^:]*/(nvidia[a-z0-9-]*|nouveau|nova[a-z_-]*)\.ko[^:]*:'"
            " /lib/modules/*/modules.dep",
            absent=Probe(1),
            at_once=True,
        ),
        # The kernels with headers on disk: printf is the shell's own.
        ProbeCommand("kernel_builds", r"printf '%s\n' /lib/modules/*/build/Makefile", at_once=True),
        ProbeCommand(
            "nouveau_off",
            f"grep -sHE '{BLOCKING_LINE}' {CONFIGURED}",
            absent=Probe(1),
            at_once=True,
        ),
        ProbeCommand("modprobe_files", rf"printf '%s\n' {CONFIGURED}", at_once=True),
    ),
)


@dataclass(frozen=True)
class Module:
    """A kernel's NVIDIA module. path: below /lib/modules/RELEASE, as modules.dep has it."""

    path: str

    @property
    def name(self) -> str:
        return module_name(_stem(self.path))

    @property
    def built_here(self) -> bool:
        """Built on the host by DKMS or an installer, not signed by the distribution."""
        return self.path.startswith(BUILT_HERE)


@dataclass(frozen=True)
class Kernels:
    """The installed kernels, oldest first.

    + running: `uname -r`
    + nvidia: the NVIDIA module of each kernel that has one
    + without_uvm: the kernels that have the driver's other modules, and not nvidia-uvm
    + rivals: the modules of each kernel that could take a card from NVIDIA's driver
    + boot: the kernel of the next boot
    + blocks: what keeps a module of NVIDIA or of a rival from being loaded
    + buildable: the kernels whose headers are on disk
    + failed_builds: the last build for each kernel for which it failed
    """

    running: str
    installed: tuple[str, ...]
    nvidia: dict[str, Module]
    without_uvm: frozenset[str]
    rivals: dict[str, frozenset[str]]
    boot: BootEntry
    blocks: tuple[Line, ...] = ()
    buildable: frozenset[str] = field(default_factory=frozenset)
    failed_builds: dict[str, FailedBuild] = field(default_factory=dict)

    @property
    def next(self) -> str | None:
        """The kernel of the next boot; None if no kernel is on disk, or if it is unknown."""
        return self.boot.release

    @cached_property
    def blocked(self) -> frozenset[str]:
        """The modules that are not loaded for a device."""
        lines = (line for line in self.blocks if line.block is not Block.BY_NAME)
        return frozenset(line.module for line in lines)

    @cached_property
    def driver_blocks(self) -> tuple[Line, ...]:
        """The lines about what CUDA needs: nvidia, and nvidia-uvm, which belongs to no device."""
        own = {module.name for module in self.nvidia.values()} | {"nvidia"}
        names = own | {f"{name}_uvm" for name in own}
        return tuple(line for line in self.blocks if line.module in names)

    @property
    def driver_off(self) -> str:
        """The line that keeps the driver or nvidia-uvm from being loaded at all; "": none does."""
        lines = self.driver_blocks
        by_device = {line.module for line in lines if line.block is Block.BY_DEVICE}
        total = (
            line
            for line in lines
            if line.block is Block.ALWAYS
            or (line.block is Block.BY_NAME and (_is_uvm(line) or line.module in by_device))
        )
        return next(map(str, total), "")

    @property
    def driver_not_by_itself(self) -> str:
        """A line that only keeps one way of loading the driver closed; "": there is none."""
        return next((str(line) for line in self.driver_blocks if not _is_uvm(line)), "")

    @property
    def driver_not_by_name(self) -> str:
        """The line that keeps those from it who load it by name, as containers do; "": none."""
        lines = (line for line in self.driver_blocks if line.block is Block.BY_NAME)
        return next(map(str, lines), "")

    @classmethod
    def read(cls, probes: Probes) -> Kernels:
        words = probes.output("kernel").split()
        if len(words) != 4:
            raise NotRead("uname did not print four words")
        modules = list(_modules(probes.output("kernel_modules", allow=(0, 1, 2))))
        names = probes.output("kernels", allow=(0, 1)).splitlines()
        releases = {name.removeprefix("vmlinuz-") for name in names if name.startswith("vmlinuz-")}
        if len(releases) > MOST_KERNELS:
            raise NotRead(f"{len(releases)} kernels in /boot; at most {MOST_KERNELS}")
        installed = tuple(sorted(releases, key=_by_version))
        nvidia = {release: Module(path) for release, path in modules if _is_driver(path)}
        companions = {(release, _stem(path)) for release, path in modules if _is_companion(path)}
        return cls(
            running=words[2],
            installed=installed,
            nvidia=nvidia,
            without_uvm=frozenset(release for release, _ in companions if release in nvidia)
            - {release for release, name in companions if name.endswith(UVM)},
            rivals=_rivals(modules),
            boot=read_boot_entry(probes, installed),
            blocks=_blocks(probes),
            buildable=frozenset(_buildable(probes)),
            failed_builds=read_failed_builds(probes),
        )


def _is_uvm(line: Line) -> bool:
    return line.module.endswith("_uvm")


def _blocks(probes: Probes) -> tuple[Line, ...]:
    listing = probes.output("nouveau_off", allow=(0, 1, 2))
    paths = probes.get("modprobe_files").out.split() if "modprobe_files" in probes else ()
    command_line = modprobe.from_command_line(probes.file(CMDLINE) or "")
    return (*modprobe.parse(listing, paths), *command_line)


def _buildable(probes: Probes) -> Iterator[str]:
    listing = probes.get("kernel_builds").out if "kernel_builds" in probes else ""
    for path in listing.splitlines():
        if (match := BUILD.fullmatch(path)) and match[1] != "*":
            yield match[1]


def _modules(listing: str) -> Iterator[tuple[str, str]]:
    for line in listing.splitlines():
        if match := MODULE_LISTS.fullmatch(line):
            yield match[1], match[2]


def _rivals(modules: list[tuple[str, str]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for release, path in modules:
        if module_name(_stem(path)) in MODULES:
            found.setdefault(release, set()).add(module_name(_stem(path)))
    return {release: frozenset(names) for release, names in found.items()}


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".ko")[0]


def _is_driver(path: str) -> bool:
    name = _stem(path)
    return name.startswith("nvidia") and not name.endswith(COMPANIONS + OTHERS)


def _is_companion(path: str) -> bool:
    """A module that is built together with the driver's."""
    return _stem(path).startswith("nvidia") and _stem(path).endswith(COMPANIONS)


def _by_version(release: str) -> list[tuple[int, int, str]]:
    """6.1.0-9 before 6.1.0-18."""
    parts = re.findall(r"\d{1,18}|[^\d]+", release)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
