"""NVIDIA's cards: present, and all answering."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, skip
from gpuhost.checks.registry import check
from gpuhost.domain.nvidia.pci import PciDevice, card_of_device
from gpuhost.plans.gpu import cards_on_record, reason_without_driver
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

AGAIN = "run the deploy again"
INSTALL = 'set nvidia_driver="install"'
REBOOT = "reboot, or set nvidia_reboot=True"


@check(
    "nvidia.card",
    'An NVIDIA card is on the PCI bus, if `gpu` is "required" or the last deploy found one.',
)
def card(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.gpu == "none":
        return skip('gpu is "none"')
    names = ", ".join(map(_name, snapshot.nvidia.gpus)) or ", ".join(
        gpu.name for gpu in snapshot.nvidia.answering
    )
    if names:
        return ok(names)
    recorded = cards_on_record(snapshot)
    if settings.gpu == "auto" and not recorded:
        return ok("none", expected="any or none")
    return fail(
        f"the {recorded} card(s) of the last deploy" if recorded else "an NVIDIA card",
        "none on the PCI bus",
        fix="if lspci -nn -d 10de: lists nothing, check the seating, or pass the card through to "
        'this VM; set gpu="none" if it was removed',
    )


def _name(device: PciDevice) -> str:
    known = card_of_device(device.device)
    return f"{known.model if known else f'10de:{device.device}'} at {device.slot}"


@check("nvidia.count", "`gpu_count` cards answer; without it, every card on the bus.")
def count(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if reason := reason_not_working(snapshot):
        return later(reason)
    answering, on_bus = len(snapshot.nvidia.answering), len(snapshot.nvidia.gpus)
    expected = settings.gpu_count or on_bus or answering
    if answering == expected:
        return ok(str(answering))
    silent = _silent(snapshot)
    return fail(
        f"{expected} cards",
        f"{answering} answer, {on_bus} on the bus",
        evidence=f"not answering: {', '.join(silent)}" if silent else "",
        fix="dmesg | grep NVRM; another kernel module flavour, power and seating"
        if silent
        else "correct gpu_count, or check the seating of the missing cards",
    )


def _silent(snapshot: Snapshot) -> list[str]:
    """The cards that are on the bus and do not answer."""
    answer = {gpu.bus_id.lower()[-12:] for gpu in snapshot.nvidia.answering}
    return [_name(gpu) for gpu in snapshot.nvidia.gpus if gpu.slot.lower()[-12:] not in answer]


def reason_not_working(snapshot: Snapshot) -> str:
    state = snapshot.nvidia.diagnosis.state
    return "" if snapshot.nvidia.works else f"the driver does not answer: {state.value}"
