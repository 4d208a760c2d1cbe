"""NVIDIA's cards and driver: on the PCI bus, in nvidia-smi, in the kernel, in the packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from gpuhost.domain.modprobe import module_name
from gpuhost.domain.nvidia.cards import Card
from gpuhost.domain.nvidia.display import is_served, left_out
from gpuhost.domain.nvidia.driver_diagnosis import classify, libcuda_fault
from gpuhost.domain.nvidia.driver_state import Diagnosis, DriverState
from gpuhost.domain.nvidia.pci import NVIDIA_DRIVER, PciDevice, card_of_device, slot_of
from gpuhost.domain.nvidia.rivals import RIVALS, Rival, may_claim, rival_of
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
from gpuhost.domain.nvidia.vgpu import profile
from gpuhost.snapshot.nvidia_packages import (
    UNPACKED,
    Package,
    driver_versions,
    module_packages,
    read_packages,
)
from gpuhost.snapshot.nvidia_record import NVIDIA_RECORD, NvidiaRecord
from gpuhost.snapshot.pci import read_devices
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import Unit, read_unit

EXCLUSIONS = "/etc/apt/apt.conf.d/60gpuhost-nvidia"
PREFERENCES = "/etc/apt/preferences.d/gpuhost-nvidia"
PERSISTENCE_UNIT = "/etc/systemd/system/gpuhost-nvidia-persistence.service"
HAS_NVIDIA_SMI = "command -v nvidia-smi >/dev/null 2>&1"

WAS_REFUSED = 'grep -q "is not a valid field" "$work"/nvidia_query.??? 2>/dev/null'


def _query(name: str, fields: tuple[str, ...]) -> ProbeCommand:
    command = f"nvidia-smi --format=csv,noheader,nounits --query-gpu={','.join(fields)}"
    return ProbeCommand(name, command, seconds=None, only_if=HAS_NVIDIA_SMI)


REQUEST = Request(
    files=(
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
        # Without persistence each call wakes every card: tens of seconds on eight of them.
        ProbeCommand("nvidia_smi", "nvidia-smi", seconds=None, only_if=HAS_NVIDIA_SMI),
        _query("nvidia_query", QUERY_FIELDS),
        # Drivers before R510 refuse a query for compute_cap, and look at no card for that.
        replace(
            _query("nvidia_query_old", QUERY_FIELDS_BEFORE_R510), only_if=WAS_REFUSED, last=True
        ),
        ProbeCommand(
            "nvidia_version", "cat /proc/driver/nvidia/version", absent=Probe(1), at_once=True
        ),
        ProbeCommand(
            "loaded_modules",
            "grep -E '^(nvidia|nouveau|nova)' /proc/modules",
            at_once=True,
            absent=Probe(1),
        ),
    ),
)


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
        return read_devices(self.probes)

    @cached_property
    def on_bus(self) -> tuple[PciDevice, ...]:
        """The cards on the bus that this host may use: not those of virtual machines."""
        return tuple(gpu for gpu in self.devices if gpu.is_gpu and not gpu.is_passed_through)

    @cached_property
    def gpus(self) -> tuple[PciDevice, ...]:
        """The cards that must work: on the bus, and not left out."""
        return tuple(device for device in self.on_bus if device not in self.left_out)

    @cached_property
    def left_out(self) -> tuple[PciDevice, ...]:
        """The cards that no driver serves, or not the one in use that serves the others."""
        cards = [card_of_device(device.device) for device in self.on_bus]
        if not self.works:
            return tuple(self.on_bus[position] for position in sorted(left_out(cards)))
        answer = {gpu.slot for gpu in self._answering_if_read()}
        return tuple(
            device
            for device, card in zip(self.on_bus, cards, strict=True)
            if card and answer and slot_of(device.slot) not in answer and not self._serves(card)
        )

    def _answering_if_read(self) -> tuple[Gpu, ...]:
        try:
            return self.answering
        except NotRead:
            return ()

    def _serves(self, card: Card) -> bool:
        driver, module = self.driver, self.module
        return driver is None or is_served(card, driver.branch, module.is_open if module else None)

    @cached_property
    def passed_through(self) -> tuple[PciDevice, ...]:
        """The cards that virtual machines have."""
        return tuple(gpu for gpu in self.devices if gpu.is_gpu and gpu.is_passed_through)

    @property
    def held_by_others(self) -> tuple[PciDevice, ...]:
        """The cards that must work and that another driver than NVIDIA's holds."""
        return tuple(gpu for gpu in self.gpus if gpu.driver not in (None, NVIDIA_DRIVER))

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
        """A driver is on disk, loaded or not; nvidia-smi may be missing, or outside of PATH."""
        return self.diagnosis.state is not DriverState.ABSENT or self.module is not None

    @property
    def libcuda_fault(self) -> str:
        """What a working driver prints instead of its CUDA version: N/A, ERR!; "": it has one."""
        return libcuda_fault(self.probes.get("nvidia_smi").out) if self.works else ""

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
                cuda = self.header.cuda
                return tuple(replace(gpu, driver=replace(gpu.driver, cuda=cuda)) for gpu in gpus)
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

    @property
    def vgpus(self) -> tuple[str, ...]:
        """The cards that are virtual GPUs: only NVIDIA's GRID guest driver drives them."""
        return tuple(gpu.name for gpu in self._answering_if_read() if profile(gpu.name))

    @cached_property
    def module(self) -> KernelModule | None:
        """The loaded kernel module, also if nvidia-smi fails."""
        probe = self.probes.get("nvidia_version") if "nvidia_version" in self.probes else None
        return parse_kernel_module(probe.out) if probe else None

    @property
    def driver(self) -> DriverVersion | None:
        """The version of the working driver, else of the one that the next boot loads."""
        loaded = self.module.version if self.module else None
        if self.header.driver:
            return replace(self.header.driver, cuda=self.header.cuda)
        return self.on_disk or loaded

    @property
    def on_disk(self) -> DriverVersion | None:
        """The version of the driver packages; None if the driver does not come from packages."""
        return max(driver_versions(self.packages), default=None)

    @property
    def is_packaged(self) -> bool:
        """Whether the driver comes from packages: others need one of its libraries, and bring it
        in another version than the driver of NVIDIA's installer."""
        versions = driver_versions(self.packages)
        return self.header.driver in versions if self.header.driver else bool(versions)

    @property
    def module_packages(self) -> tuple[str, ...]:
        """The packages of its kernel modules, also those that are half configured."""
        return module_packages(self.unpacked)

    @cached_property
    def unpacked(self) -> Mapping[str, Package]:
        """The packages whose files are there, configured or not."""
        return read_packages(self.probes, UNPACKED)

    @cached_property
    def loaded_modules(self) -> frozenset[str]:
        """The loaded modules of NVIDIA and its rivals, with underscores."""
        lines = self.probes.output("loaded_modules", allow=(0, 1, 2)).splitlines()
        return frozenset(module_name(line.split()[0]) for line in lines if line.split())

    @cached_property
    def rival(self) -> Rival | None:
        """A driver that keeps NVIDIA's off a card: it holds one, or waits for one."""
        holding = (rival_of(gpu.driver) for gpu in self.held_by_others if gpu.driver)
        known = [card_of_device(gpu.device) for gpu in self.gpus]
        loaded = (
            rival
            for rival in RIVALS
            if rival.modules[0] in self.loaded_modules and may_claim(rival, known)
        )
        return next((rival for rival in holding if rival), None) or next(loaded, None)

    @cached_property
    def packages(self) -> Mapping[str, Package]:
        """The installed packages of the driver, and the kernels."""
        return read_packages(self.probes)

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
