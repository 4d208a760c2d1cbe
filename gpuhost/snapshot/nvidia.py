"""NVIDIA's cards and driver: on the PCI bus, in nvidia-smi, in the kernel, in the packages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from shlex import quote

from gpuhost.domain.nvidia.cards import Card
from gpuhost.domain.nvidia.driver_state import Diagnosis, DriverState, classify
from gpuhost.domain.nvidia.pci import PciDevice, card_of_device
from gpuhost.domain.nvidia.smi import (
    QUERY_FIELDS,
    QUERY_FIELDS_BEFORE_R510,
    Gpu,
    Header,
    KernelModule,
    parse_header,
    parse_kernel_module,
    parse_query,
)
from gpuhost.domain.nvidia.version import DriverVersion
from gpuhost.snapshot.packages import QUERY
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import Unit, read_unit

NVIDIA_RECORD = "/var/lib/gpuhost/nvidia.json"
EXCLUSIONS = "/etc/apt/apt.conf.d/60gpuhost-nvidia"
PREFERENCES = "/etc/apt/preferences.d/gpuhost-nvidia"
PERSISTENCE_UNIT = "/etc/systemd/system/gpuhost-nvidia-persistence.service"
# Every driver has one of these, whatever its branch and source.
DRIVER_PACKAGES = (
    "libnvidia-ml1",
    "libnvidia-compute",
    "libcuda1",
    "nvidia-utils",
    "nvidia-smi",
    "nvidia-driver-cuda",
)
VFIO = "vfio-pci"
# Everything of a driver's, the kernels that it is built for, and what builds it.
PACKAGES = (
    "*nvidia*",
    "cuda-drivers*",
    "cuda-compat-*",
    "libcuda1*",
    "libcudadebugger1",
    "libnvcuvid1",
    "libnvsdm*",
    "libxnvctrl*",
    "nvlsm",
    "dkms",
    "linux-image-*",
    "linux-headers-*",
)
HAS_NVIDIA_SMI = "command -v nvidia-smi >/dev/null 2>&1"


def _query(name: str, fields: tuple[str, ...]) -> ProbeCommand:
    command = f"nvidia-smi --format=csv,noheader,nounits --query-gpu={','.join(fields)}"
    return ProbeCommand(name, command, seconds=None, only_if=HAS_NVIDIA_SMI)


REQUEST = Request(
    files=(
        NVIDIA_RECORD,
        EXCLUSIONS,
        PREFERENCES,
        PERSISTENCE_UNIT,
        "/etc/apt/sources.list.d/nvidia.sources",
        "/etc/apt/keyrings/nvidia.asc",
    ),
    units=(
        "nvidia-persistenced.service",
        "nvidia-fabricmanager.service",
        "gpuhost-nvidia-persistence.service",
    ),
    probes=(
        # Without persistence each call wakes every card: tens of seconds on eight of them. Drivers
        # before R510 refuse a query for compute_cap, so it is asked with and without.
        ProbeCommand("nvidia_smi", "nvidia-smi", seconds=None, only_if=HAS_NVIDIA_SMI),
        _query("nvidia_query", QUERY_FIELDS),
        _query("nvidia_query_old", QUERY_FIELDS_BEFORE_R510),
        ProbeCommand(
            "pci", "grep -sHE '^(DRIVER|PCI_ID|PCI_CLASS)=' /sys/bus/pci/devices/*/uevent"
        ),
        ProbeCommand(
            "nvidia_packages", f"{QUERY} {' '.join(map(quote, PACKAGES))}", absent=Probe(1)
        ),
        ProbeCommand("nvidia_version", "cat /proc/driver/nvidia/version", absent=Probe(1)),
        ProbeCommand(
            "loaded_modules",
            "grep -E '^(nvidia|nouveau)' /proc/modules",
            at_once=True,
            absent=Probe(1),
        ),
    ),
)


@dataclass(frozen=True)
class Package:
    """An installed package. hold: dpkg is told to leave its version alone."""

    name: str
    version: str
    hold: bool

    @property
    def driver(self) -> DriverVersion | None:
        """The driver's version in the package's: 1:535.183.01-1~deb12u1."""
        upstream = self.version.rpartition(":")[2].partition("-")[0].partition("~")[0]
        try:
            return DriverVersion.parse(upstream)
        except ValueError:
            return None


@dataclass(frozen=True)
class NvidiaRecord:
    """What gpuhost has changed, from its record on the host.

    + packages: the driver that it installed, or began to install
    + held: the packages that it put on hold
    + rebooted_for: the installed packages for which it rebooted (plans.nvidia_upkeep)
    """

    packages: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    rebooted_for: str = ""

    @classmethod
    def from_json(cls, text: str) -> NvidiaRecord:
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(values, dict):
            return cls()
        return cls(
            _names(values.get("packages")),
            _names(values.get("held")),
            str(values.get("rebooted_for") or ""),
        )

    @property
    def text(self) -> str:
        return json.dumps(vars(self), indent=1, sort_keys=True) + "\n"


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


@dataclass(frozen=True)
class Nvidia:
    """The NVIDIA part of a snapshot; each property is parsed when it is first used."""

    probes: Probes

    @classmethod
    def read(cls, probes: Probes) -> Nvidia:
        return cls(probes)

    @cached_property
    def devices(self) -> tuple[PciDevice, ...]:
        """NVIDIA's functions on the PCI bus, with or without a driver."""
        return _devices(self.probes)

    @cached_property
    def gpus(self) -> tuple[PciDevice, ...]:
        """The cards on the bus, without those that are passed to virtual machines."""
        return tuple(device for device in self.devices if device.is_gpu and device.driver != VFIO)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The state of the driver, from nvidia-smi."""
        if "nvidia_smi" not in self.probes:
            return classify(127, "nvidia-smi: command not found")
        probe = self.probes.get("nvidia_smi")
        return classify(probe.rc, f"{probe.out}\n{probe.err}", timed_out=probe.rc is None)

    @property
    def works(self) -> bool:
        return self.diagnosis.state.works

    @property
    def installed(self) -> bool:
        """A driver is on disk, loaded or not."""
        return self.diagnosis.state is not DriverState.ABSENT

    @cached_property
    def header(self) -> Header:
        return parse_header(self.probes.get("nvidia_smi").out if self.works else "")

    @cached_property
    def answering(self) -> tuple[Gpu, ...]:
        """The cards that nvidia-smi lists, by index; none while the driver does not work.

        Raises NotRead if the driver works but the query fails.
        """
        if not self.works:
            return ()
        for name in ("nvidia_query", "nvidia_query_old"):
            gpus = parse_query(self.probes.get(name).out) if name in self.probes else ()
            if gpus:
                return gpus
        raise NotRead(f"nvidia-smi's query: {self.probes.get('nvidia_query').complaint}")

    @property
    def present(self) -> bool:
        """The host has a card: on the bus, or in nvidia-smi where the bus cannot be read."""
        return bool(self.gpus or self.answering)

    @cached_property
    def cards(self) -> tuple[Card, ...]:
        """The known models, from nvidia-smi if it works, else from their PCI ids."""
        if self.works:
            cards = [gpu.card for gpu in self.answering]
        else:
            cards = [card_of_device(gpu.device) for gpu in self.gpus]
        return tuple(card for card in cards if card)

    @cached_property
    def unknown_cards(self) -> tuple[str, ...]:
        """The cards whose model gpuhost does not know."""
        if self.works:
            return tuple(gpu.name for gpu in self.answering if gpu.card is None)
        return tuple(f"10de:{g.device}" for g in self.gpus if card_of_device(g.device) is None)

    @cached_property
    def module(self) -> KernelModule | None:
        """The loaded kernel module, also if nvidia-smi fails."""
        probe = self.probes.get("nvidia_version") if "nvidia_version" in self.probes else None
        return parse_kernel_module(probe.out) if probe else None

    @property
    def driver(self) -> DriverVersion | None:
        """The version of the working driver, else of the one that the next boot loads."""
        loaded = self.module.version if self.module else None
        return self.header.driver or self.on_disk or loaded

    @property
    def on_disk(self) -> DriverVersion | None:
        """The version of the installed driver packages; None for an installer's."""
        versions = [
            package.driver
            for package in self.packages.values()
            if package.name.startswith(DRIVER_PACKAGES) and package.driver
        ]
        return max(versions, default=None)

    @cached_property
    def nouveau(self) -> bool:
        """nouveau is loaded or is bound to a card."""
        modules = self.probes.output("loaded_modules", allow=(0, 1, 2)).splitlines()
        loaded = any(line.split()[:1] == ["nouveau"] for line in modules)
        return loaded or any(gpu.driver == "nouveau" for gpu in self.gpus)

    @cached_property
    def packages(self) -> dict[str, Package]:
        """The installed packages of the driver, and the kernels."""
        probe = self.probes.get("nvidia_packages")
        if probe.rc is None:
            raise NotRead("dpkg-query timed out")
        packages = {}
        for line in probe.out.splitlines():
            status, *rest = line.split("\t")
            if len(rest) == 3 and status[1:2] == "i":
                packages[rest[0]] = Package(rest[0], rest[1], status[:1] == "h")
        return packages

    @property
    def fabric_manager(self) -> Package | None:
        names = (name for name in self.packages if name.startswith("nvidia-fabricmanager"))
        managers = (self.packages[name] for name in names if not name.endswith("-dev"))
        return next(managers, None)

    @cached_property
    def record(self) -> NvidiaRecord:
        return NvidiaRecord.from_json(self.probes.file(NVIDIA_RECORD) or "")

    def unit(self, name: str) -> Unit:
        """A systemd unit of the driver; a missing one is neither active nor enabled."""
        return read_unit(self.probes, name)


def _devices(probes: Probes) -> tuple[PciDevice, ...]:
    probe = probes.get("pci")
    if probe.rc is None:
        raise NotRead("reading the PCI bus timed out")
    by_path: dict[str, dict[str, str]] = {}
    for line in probe.out.splitlines():
        path, slash, assignment = line.partition("/uevent:")
        key, equals, value = assignment.partition("=")
        if slash and equals:
            by_path.setdefault(path, {})[key] = value.strip().lower()
    devices = []
    for path, values in by_path.items():
        vendor, _, device = values.get("PCI_ID", "").partition(":")
        if vendor == "10de":
            pci_class = values.get("PCI_CLASS", "").zfill(6)[:4]
            slot = path.rpartition("/")[2]
            devices.append(PciDevice(slot, pci_class, vendor, device, values.get("DRIVER")))
    return tuple(devices)
