"""What the kernel's log says of the cards since the boot, which nothing else would tell."""

from __future__ import annotations

from collections.abc import Iterable

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.nvidia.pci import card_of_device
from gpuhost.domain.nvidia.xid import CardError
from gpuhost.plans.gpu import not_concerned
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

SHOWN = 5
EXPECTED = "no error of a card since the boot"


@check("nvidia.errors", "The kernel's log has no error of a card (Xid) since the boot.")
def errors(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := not_concerned(snapshot, settings):
        return skip(reason)
    if not snapshot.nvidia.installed:
        return skip("no driver is installed")
    try:
        found = sorted(_standing(snapshot), key=lambda error: error.meaning.harmless)
    except NotRead:
        if snapshot.system.container and "kernel_log" in snapshot.probes:
            return skip("the kernel's log is that of the machine around this container")
        raise
    if not found:
        return ok("none", expected=EXPECTED)
    judge = warn if found[0].meaning.harmless else fail
    return judge(
        EXPECTED,
        "; ".join(_in_words(error, snapshot) for error in found[:SHOWN]) + _more(found),
        evidence="\n".join(error.text for error in found[:SHOWN]),
        fix=_fix(found[:SHOWN]),
    )


def _standing(snapshot: Snapshot) -> list[CardError]:
    """Without cards that did not start at first, and answer by now."""
    return [
        one
        for one in snapshot.kernel_log.card_errors
        if one.number or not _answers(one.card, snapshot)
    ]


def _answers(card: str, snapshot: Snapshot) -> bool:
    try:
        return any(gpu.bus_id.lower()[-12:-2] == card for gpu in snapshot.nvidia.answering)
    except NotRead:
        return False


def _in_words(error: CardError, snapshot: Snapshot) -> str:
    times = "once" if error.times == 1 else f"{error.times} times"
    what = f"{_card(error, snapshot)}: {error.name}, {error.meaning.what}"
    return f"{what} ({times}, last at {error.last})"


def _card(error: CardError, snapshot: Snapshot) -> str:
    """The card's model and place."""
    place = error.card or "a card"
    for device in snapshot.nvidia.gpus:
        known = card_of_device(device.device) if device.slot[-12:-2] == error.card else None
        if known:
            return f"{known.model} at {place}"
    return place


def _more(found: list[CardError]) -> str:
    rest = len(found) - SHOWN
    return f"; and {rest} more" if rest > 0 else ""


def _fix(found: Iterable[CardError]) -> str:
    """What to do about each, once; the log is asked again tomorrow."""
    steps: dict[str, list[str]] = {}
    for error in found:
        fix = error.meaning.fix.replace("CARD", f"{error.card}.0" if error.card else "CARD")
        steps.setdefault(fix, []).append(error.name)
    told = [f"{', '.join(dict.fromkeys(names))}: {fix}" for fix, names in steps.items()]
    return f"{'. '.join(told)}. When that is done without a reboot: dmesg --clear"
