"""The faults of a host's cards, and which of them keep a card from being used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gpuhost.domain.nvidia.actions import Action
from gpuhost.domain.nvidia.card_faults import (
    Fault,
    faults_of_fabric,
    faults_of_memory,
    faults_of_state,
    faults_of_values,
)
from gpuhost.domain.nvidia.smi_xml import Report
from gpuhost.domain.nvidia.xid import CardError
from gpuhost.snapshot import NotRead, Snapshot

NVLINK_FIX = "reset all cards of the board, or reboot; if it comes back, reseat or replace it"


@dataclass(frozen=True)
class CardFault:
    """A fault of the card at a place on the PCI bus; card: in words, "card 0 (Tesla P40)"."""

    bus_id: str
    card: str
    fault: Fault

    @property
    def severity(self) -> tuple[bool, bool, int]:
        """For sorting: what must be repaired, then what is not known, then by action."""
        action = self.fault.action
        return action.blocks and not self.fault.unknown, self.fault.unknown, action.value

    @property
    def remedy(self) -> str:
        return self.fault.remedy.replace("CARD", self.bus_id)


def faults_of_reports(
    snapshot: Snapshot, faults_of: Callable[[Report], Iterator[Fault]]
) -> Iterator[CardFault]:
    """Faults in the cards' own reports. Raises NotRead."""
    names = {gpu.slot: f"card {gpu.index} ({gpu.name})" for gpu in snapshot.nvidia.answering}
    reports = snapshot.nvidia_health.reports
    if missing := names.keys() - {report.bus_id for report in reports}:
        raise NotRead(f"nvidia-smi -q -x has no {', '.join(names[place] for place in missing)}")
    for report in reports:
        card = names.get(report.bus_id, report.bus_id)
        for fault in faults_of(report):
            yield CardFault(report.bus_id, card, fault)


def faults_of_nvlinks(snapshot: Snapshot) -> Iterator[CardFault]:
    """Raises NotRead."""
    for gpu in snapshot.nvidia.answering:
        if gpu.index in snapshot.nvidia_health.fewer_links:
            used, most = snapshot.nvidia_health.fewer_links[gpu.index]
            what = f"{used} of {most} NVLinks are active: programs on several cards are slower"
            fault = Fault(what, Action.INSPECT, "nvidia-smi nvlink -s", fix=NVLINK_FIX)
            yield CardFault(gpu.slot, f"card {gpu.index} ({gpu.name})", fault)


def state_faults(snapshot: Snapshot) -> Iterator[CardFault]:
    """What keeps a card's values from being used; each card once. Raises NotRead."""
    seen = set()
    for gpu in snapshot.nvidia.answering:
        for fault in faults_of_values(gpu.bad):
            seen.add(gpu.slot)
            yield CardFault(gpu.slot, f"card {gpu.index} ({gpu.name})", fault)
    for found in faults_of_reports(snapshot, faults_of_state):
        if found.bus_id not in seen:
            yield found


def unusable_cards(snapshot: Snapshot) -> dict[str, CardFault]:
    """Cards that must be reset or replaced, by bus id, each with its worst fault.

    Raises NotRead.
    """
    found = [
        *state_faults(snapshot),
        *faults_of_reports(snapshot, faults_of_memory),
        *faults_of_reports(snapshot, faults_of_fabric),
        *_errors(snapshot),
    ]
    blocking = [one for one in found if one.fault.action.blocks and not one.fault.unknown]
    return {one.bus_id: one for one in sorted(blocking, key=lambda one: one.severity)}


def _errors(snapshot: Snapshot) -> Iterator[CardFault]:
    """Errors in the kernel's log that call for a reset, if the driver itself does not know."""
    try:
        errors = snapshot.kernel_log.card_errors
    except NotRead:
        return
    for gpu in snapshot.nvidia.answering:
        for error in errors:
            if error.card and gpu.slot.startswith(error.card) and not is_settled(error, snapshot):
                what = f"{error.name}, {error.meaning.what}"
                fault = Fault(what, error.meaning.action, error.text, fix=error.meaning.remedy)
                yield CardFault(gpu.slot, f"card {gpu.index} ({gpu.name})", fault)


def is_settled(error: CardError, snapshot: Snapshot) -> bool:
    """Whether the driver says that the card needs no recovery: it knows more than a table.

    Drivers before R570 do not say.
    """
    if error.of_switch or not error.card:
        return False
    try:
        reports = snapshot.nvidia_health.reports if snapshot.nvidia_health.is_read else ()
    except NotRead:
        return False
    own = next((report for report in reports if report.bus_id.startswith(error.card)), None)
    return own is not None and own.recovery is Action.IGNORE
