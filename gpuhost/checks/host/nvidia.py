"""NVIDIA's cards: present, and all answering."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.nvidia.branches import recommended_branch
from gpuhost.domain.nvidia.cards import Card
from gpuhost.domain.nvidia.display import driven_together, why_left_out
from gpuhost.domain.nvidia.driver_choice import module_flavour
from gpuhost.domain.nvidia.pci import PciDevice, card_of_device, slot_of
from gpuhost.domain.nvidia.refusals import Refusal
from gpuhost.plans.gpu import DRIVER_OF_JETSON, cards_on_record, is_jetson, reason_without_driver
from gpuhost.plans.nvidia import install_plan, plan_for_wasted, reboot_reason
from gpuhost.plans.nvidia_unfit import computes, not_started, refusals
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

INSTALL = 'set nvidia_driver="install"'
MISSING = (
    "if lspci -nn -d 10de: lists nothing, check the seating, or pass the card through to this VM; "
    'set gpu="none" if it was removed'
)
RELEASE = (
    "if it is meant for this host, take its id out of vfio-pci.ids (kernel command line, "
    '/etc/modprobe.d), update-initramfs -u and reboot; otherwise set gpu="none"'
)
REBOOT = "reboot, or set nvidia_reboot=True"
WINDOWS = (
    "WSL gets the GPU from Windows: update its driver there, then wsl --update; wsl --shutdown; "
    'set gpu="none" if it has none'
)


@check(
    "nvidia.card",
    'An NVIDIA card is on the PCI bus, if `gpu` is "required" or the last deploy found one.',
)
def card(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.gpu == "none":
        return skip('gpu is "none"')
    if is_jetson(snapshot):
        return skip(DRIVER_OF_JETSON)
    names = ", ".join(map(name_of, snapshot.nvidia.gpus)) or ", ".join(
        gpu.name for gpu in snapshot.nvidia.answering
    )
    others = _others(snapshot)
    if names:
        if any(map(computes, snapshot.nvidia.left_out)):
            return warn(
                "every card has a driver",
                "; ".join((names, *others)),
                fix=_fix_of_wasted(snapshot, settings),
            )
        return ok("; ".join((names, *others)))
    recorded = cards_on_record(snapshot)
    if settings.gpu == "auto" and not recorded:
        return ok("; ".join(("none", *others)), expected="any or none")
    return fail(
        f"the {recorded} card(s) of the last deploy" if recorded else "an NVIDIA card",
        "; ".join(
            ("none on the PCI bus for this host" if others else "none on the PCI bus", *others)
        ),
        fix=_fix_of_missing(snapshot),
    )


def _fix_of_missing(snapshot: Snapshot) -> str:
    if snapshot.system.wsl:
        return WINDOWS
    return RELEASE if snapshot.nvidia.passed_through else MISSING


def _compute_cards(snapshot: Snapshot) -> list[Card]:
    return [card for card in map(computes, snapshot.nvidia.on_bus) if card]


def _fix_of_wasted(snapshot: Snapshot, settings: Settings) -> str:
    cards = _compute_cards(snapshot)
    best = recommended_branch(cards)
    if best is None or not driven_together(cards):
        return "no driver serves all of them: put the cards into different hosts"
    kind = module_flavour(cards, best).value
    return (
        f"branch {best} with the {kind} kernel modules drives all of them: "
        f"{_how_to_install(snapshot, settings, best)}; or put the cards into different hosts"
    )


def _how_to_install(snapshot: Snapshot, settings: Settings, branch: int) -> str:
    if settings.nvidia_driver != "install":
        return f'{INSTALL}, nvidia_branch="{branch}"'
    plan = install_plan(snapshot, settings) or plan_for_wasted(snapshot, settings)
    if plan and not plan.refusal:
        return f"{AGAIN}, with adopt=True while containers run"
    if reboot_reason(snapshot):
        return REBOOT
    return f'set nvidia_branch="{branch}", or install it by hand'


def _others(snapshot: Snapshot) -> list[str]:
    """The cards that are on the bus and that this host does not use, with the reason."""
    found = []
    driver, together = snapshot.nvidia.driver, driven_together(_compute_cards(snapshot))
    branch = driver.branch if driver else None
    for device in snapshot.nvidia.left_out:
        known = card_of_device(device.device)
        may_be_served = together and known in _compute_cards(snapshot)
        why = f" ({why_left_out(known, branch, together=may_be_served)})" if known else ""
        found.append(f"left out: {name_of(device)}{why}")
    whole = [device for device in snapshot.nvidia.passed_through if not device.is_virtual]
    for device in whole:
        found.append(f"passed to virtual machines: {name_of(device)} ({device.driver})")
    if functions := len(snapshot.nvidia.passed_through) - len(whole):
        found.append(f"for virtual machines: {functions} virtual function(s)")
    vgpus = snapshot.nvidia.vgpus if snapshot.nvidia.works else ()
    return [*found, *(f"a vGPU: {name}" for name in vgpus)]


def name_of(device: PciDevice) -> str:
    known = card_of_device(device.device)
    return f"{known.model if known else f'10de:{device.device}'} at {device.slot}"


@check(
    "nvidia.count",
    "`gpu_count` cards answer; without it, every card on the bus, as many as at the last deploy.",
)
def count(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if reason := reason_not_working(snapshot):
        return later(reason)
    answering, on_bus = len(snapshot.nvidia.answering), len(snapshot.nvidia.gpus)
    found, recorded = on_bus or answering, cards_on_record(snapshot)
    expected = settings.gpu_count or max(found, recorded)
    if answering == expected:
        return ok(str(answering))
    silent, refused = _silent(snapshot), _refused(snapshot)
    error = not_started(snapshot, _silent_devices(snapshot)) if silent else None
    lost = expected == recorded and not settings.gpu_count and found < recorded
    return fail(
        f"{expected} cards{', as at the last deploy' if lost else ''}",
        f"{answering} answer, {on_bus} on the bus",
        evidence="\n".join(
            (
                *([f"not answering: {', '.join(silent)}"] if silent else []),
                *(f"{one.reason.cause}: {one.text}" for one in refused),
                *([f"{error.meaning.what}: {error.text}"] if error else []),
            )
        ),
        fix="; ".join(dict.fromkeys(one.reason.fix for one in refused))
        or (error.meaning.remedy if error else "")
        or _fix_of_count(found, silent=bool(silent), lost=lost),
    )


def _fix_of_count(found: int, *, silent: bool, lost: bool) -> str:
    if silent:
        return "dmesg | grep NVRM; another kernel module flavour, power and seating"
    if not lost:
        return "correct gpu_count, or check the seating of the missing cards"
    return (
        "dmesg | grep NVRM; check power and seating of the missing cards; if they were removed, or "
        f"passed to a virtual machine, set gpu_count={found}"
    )


def _silent_devices(snapshot: Snapshot) -> list[PciDevice]:
    """The cards that are on the bus and do not answer."""
    answer = {gpu.slot for gpu in snapshot.nvidia.answering}
    return [gpu for gpu in snapshot.nvidia.gpus if slot_of(gpu.slot) not in answer]


def _silent(snapshot: Snapshot) -> list[str]:
    return [name_of(gpu) for gpu in _silent_devices(snapshot)]


def _refused(snapshot: Snapshot) -> list[Refusal]:
    """What the driver says of the cards that do not answer."""
    slots = {gpu.card_slot for gpu in _silent_devices(snapshot)}
    return [one for one in refusals(snapshot) if one.card in slots]


def reason_not_working(snapshot: Snapshot) -> str:
    state = snapshot.nvidia.diagnosis.state
    return "" if snapshot.nvidia.works else f"the driver does not answer: {state.value}"
