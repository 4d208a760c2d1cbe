"""The MIG layout that every card should have, and the files that bring it back at boot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from gpuhost.domain.nvidia.card_paths import MIG_PENDING
from gpuhost.domain.nvidia.mig import as_text, in_order
from gpuhost.domain.nvidia.smi import Gpu
from gpuhost.domain.rendering import render
from gpuhost.plans.host_file import HostFile
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.request import Request

PROGRAM = "/usr/local/lib/gpuhost/nvidia-mig"
CONF = f"{PROGRAM}.conf"
UNIT = "gpuhost-nvidia-mig.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"


@dataclass(frozen=True)
class Layout:
    """One card. layouts are texts, "3g.40gb,3g.40gb"; "": none.

    + wanted: None: not declared
    + made: the layout that gpuhost made; None: gpuhost made none
    + pending: the mode changes at the next reboot
    """

    gpu: Gpu
    wanted: str | None
    actual: str
    made: str | None
    pending: bool

    @property
    def card(self) -> str:
        return f"card {self.gpu.index} ({self.gpu.name})"

    @property
    def now(self) -> str:
        if self.gpu.mig is None:
            return "has no MIG"
        if not self.gpu.mig:
            return "MIG is off"
        return self.actual or "MIG is on without instances"

    @property
    def is_right(self) -> bool:
        """As declared; a card without MIG has it off."""
        if self.wanted is None:
            return True
        if not self.wanted:
            return not self.gpu.mig
        return self.gpu.mig is True and self.actual == self.wanted

    @property
    def is_empty(self) -> bool:
        """In MIG mode, and without a device."""
        return self.gpu.mig is True and not self.actual

    @property
    def is_left_over(self) -> bool:
        """No longer declared, and still as gpuhost made it."""
        return self.wanted is None and self.made not in (None, "") and self.actual == self.made

    @property
    def is_foreign(self) -> bool:
        """Instances that gpuhost did not make."""
        return bool(self.actual) and self.actual != self.made


def layouts(snapshot: Snapshot, settings: Settings) -> tuple[Layout, ...]:
    """Every card that answers. Raises NotRead."""
    return tuple(_layouts(snapshot, settings))


def _layouts(snapshot: Snapshot, settings: Settings) -> Iterator[Layout]:
    record = snapshot.nvidia.record.mig
    devices = snapshot.nvidia_health.mig_devices
    for gpu in snapshot.nvidia.answering:
        own = [device.profile for device in devices if device.card == gpu.index]
        counts = _declared(gpu, settings.nvidia_mig)
        yield Layout(
            gpu,
            None if counts is None else ",".join(in_order(counts)),
            as_text(own),
            record.get(gpu.uuid),
            _is_pending(gpu, snapshot),
        )


def _declared(gpu: Gpu, wanted: Mapping[str, Mapping[str, int]]) -> Mapping[str, int] | None:
    """ "all" is every card that has MIG."""
    if str(gpu.index) in wanted:
        return wanted[str(gpu.index)]
    return wanted.get("all") if gpu.mig is not None else None


def _is_pending(gpu: Gpu, snapshot: Snapshot) -> bool:
    if gpu.mig is None or not snapshot.nvidia_health.is_read:
        return False
    own = []
    with suppress(NotRead):
        own = [report for report in snapshot.nvidia_health.reports if report.bus_id == gpu.slot]
    pending = own[0].flag(MIG_PENDING) if own else None
    return pending is not None and pending != gpu.mig


def unknown_cards(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Indexes that are declared, and that no card has."""
    have = {str(gpu.index) for gpu in snapshot.nvidia.answering}
    return sorted(settings.nvidia_mig.keys() - have - {"all"})


def arguments(wanted: Mapping[str, str]) -> list[str]:
    """For the program, by the cards' UUIDs: indexes change."""
    return [f"{uuid}={profiles}" for uuid, profiles in sorted(wanted.items())]


def host_files(wanted: Mapping[str, str]) -> tuple[HostFile, ...]:
    """The program, what it does at boot, and its unit."""
    conf = "".join(f"{line}\n" for line in arguments(wanted))
    unit = render("systemd/gpuhost-nvidia-mig.service.j2", program=PROGRAM)
    return HostFile(PROGRAM, _program(), "0755"), HostFile(CONF, conf), HostFile(UNIT_PATH, unit)


def wanted_of(found: tuple[Layout, ...]) -> dict[str, str]:
    """Declared layouts by UUID."""
    return {one.gpu.uuid: one.wanted for one in found if one.wanted is not None and has_mig(one)}


def has_mig(layout: Layout) -> bool:
    return layout.gpu.mig is not None


@cache
def _program() -> str:
    return files("gpuhost.plans").joinpath("nvidia_mig.sh").read_text(encoding="utf-8")


def request(settings: Settings) -> Request:
    return Request(units=(UNIT,), managed=(PROGRAM, CONF, UNIT_PATH))
