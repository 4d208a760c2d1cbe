"""Errors of the cards in the kernel's log since the boot."""

from __future__ import annotations

from collections.abc import Iterable

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.nvidia.pci import card_of_device
from gpuhost.domain.nvidia.xid import CardError
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia_health import is_settled
from gpuhost.plans.nvidia_unfit import refusals
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

SHOWN = 5
SETTLED = "the driver requests no recovery of the card now; restart programs that failed"
EXPECTED = "no error of a card since the boot"


@check("nvidia.errors", "The kernel's log has no error of a card (Xid) since the boot.")
def errors(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if not snapshot.nvidia.installed:
        return skip("no driver is installed")
    try:
        current = _current(snapshot)
        over = {error for error in current if is_settled(error, snapshot)}
        card_errors = sorted(current, key=lambda error: (error.meaning.harmless, error in over))
    except NotRead:
        if snapshot.system.container and "kernel_log" in snapshot.probes:
            return skip("the kernel's log belongs to the host of this container")
        raise
    if not card_errors:
        return ok("none", expected=EXPECTED)
    worst = card_errors[0]
    judge = warn if worst.meaning.harmless or worst in over else fail
    return judge(
        EXPECTED,
        "; ".join(_in_words(error, snapshot) for error in card_errors[:SHOWN]) + _more(card_errors),
        evidence="\n".join(error.text for error in card_errors[:SHOWN]),
        fix=_fix(card_errors[:SHOWN], over),
    )


def _current(snapshot: Snapshot) -> list[CardError]:
    """Errors without those of cards that did not start at first and now answer, or that the driver
    refuses: nvidia.driver says why."""
    refused = {refusal.card for refusal in refusals(snapshot)}
    return [
        error
        for error in snapshot.kernel_log.card_errors
        if error.number or not (error.card in refused or _answers(error.card, snapshot))
    ]


def _answers(card: str, snapshot: Snapshot) -> bool:
    """Older drivers do not say which card it was: then all must answer."""
    try:
        answering = snapshot.nvidia.answering
    except NotRead:
        return False
    if not card:
        return bool(answering) and len(answering) >= len(snapshot.nvidia.gpus)
    return any(gpu.card_slot == card for gpu in answering)


def _in_words(error: CardError, snapshot: Snapshot) -> str:
    times = "once" if error.times == 1 else f"{error.times} times"
    text = f"{_card(error, snapshot)}: {error.name}, {error.meaning.what}"
    return f"{text} ({times}, last at {error.last})"


def _card(error: CardError, snapshot: Snapshot) -> str:
    """The card's model and bus address."""
    address = error.card or "a card"
    for device in snapshot.nvidia.gpus:
        known = card_of_device(device.device) if device.card_slot == error.card else None
        if known:
            return f"{known.model} at {address}"
    return address


def _more(card_errors: list[CardError]) -> str:
    rest = len(card_errors) - SHOWN
    return f"; and {rest} more" if rest > 0 else ""


def _fix(card_errors: Iterable[CardError], over: set[CardError]) -> str:
    """What to do about each error, once."""
    steps: dict[str, list[str]] = {}
    for error in card_errors:
        if error in over and not error.meaning.harmless:
            steps.setdefault(SETTLED, []).append(error.name)
            continue
        fix = error.meaning.remedy.replace("CARD", f"{error.card}.0" if error.card else "CARD")
        steps.setdefault(fix, []).append(error.name)
    texts = [f"{', '.join(dict.fromkeys(names))}: {fix}" for fix, names in steps.items()]
    return f"{'. '.join(texts)}. After a repair without a reboot: dmesg --clear"
