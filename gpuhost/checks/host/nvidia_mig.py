"""MIG: the declared layout on every card, now and at the next boot."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.host.nvidia import reason_not_working
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia_mig import (
    PROGRAM,
    UNIT,
    Layout,
    has_mig,
    host_files,
    layouts,
    unknown_cards,
    wanted_of,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

BY_HAND = (
    "set nvidia_mig, which gpuhost brings back at every boot; or nvidia-smi mig -i CARD -cgi "
    "PROFILES -C; or nvidia-smi -i CARD -mig 0"
)
REBOOT = "reboot: the driver changes the mode then"


@check(
    "nvidia.mig", "Cards in MIG mode have instances; as `nvidia_mig` declares, also after a boot."
)
def mig(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if reason := reason_not_working(snapshot):
        return later(reason)
    found = layouts(snapshot, settings)
    concerned = any(one.gpu.mig or one.pending or one.made for one in found)
    if not settings.nvidia_mig and not concerned and not snapshot.paths.get(PROGRAM):
        return skip("no card is in MIG mode")
    if unknown := unknown_cards(snapshot, settings):
        return fail(
            "cards of nvidia_mig", f"no card {', '.join(unknown)}", fix="correct nvidia_mig"
        )
    return _wrong_layout(found) or _wrong_at_boot(snapshot, found) or _ok(found)


def _wrong_layout(found: tuple[Layout, ...]) -> Verdict | None:
    if wrong := [one for one in found if not one.is_right]:
        pending = [one for one in wrong if one.pending]
        return fail(
            "; ".join(f"{one.card}: {one.wanted or 'MIG off'}" for one in wrong),
            "; ".join(f"{one.card}: {one.now}{' until a reboot' * one.pending}" for one in wrong),
            fix=REBOOT if pending else f"{AGAIN}, while no program uses the card",
        )
    if empty := [one for one in found if one.is_empty]:
        return fail(
            "instances, or MIG off",
            f"{', '.join(one.card for one in empty)}: MIG is on without instances: CUDA sees no "
            "device",
            fix=BY_HAND.replace("CARD", str(empty[0].gpu.index)),
        )
    if left := [one for one in found if one.is_left_over]:
        return fail(
            "no layout of gpuhost",
            "; ".join(f"{one.card}: {one.actual}" for one in left),
            fix=AGAIN,
        )
    if pending := [one for one in found if one.pending]:
        cards = ", ".join(one.card for one in pending)
        return warn("the mode that is set", f"it changes at the next boot: {cards}", fix=REBOOT)
    return None


def _wrong_at_boot(snapshot: Snapshot, found: tuple[Layout, ...]) -> Verdict | None:
    wanted = wanted_of(found)
    files = host_files(wanted)
    if not wanted:
        there = [file.path for file in files if snapshot.paths.get(file.path)]
        return fail("no files of gpuhost", ", ".join(there), fix=AGAIN) if there else None
    differing = [file.path for file in files if not file.is_on(snapshot)]
    if differing or not snapshot.nvidia.unit(UNIT).enabled:
        what = f"not brought back at boot: {', '.join(differing) or f'{UNIT} is not enabled'}"
        return fail("the layout after a boot too", what, fix=AGAIN)
    return None


def _ok(found: tuple[Layout, ...]) -> Verdict:
    return ok("; ".join(f"{one.card}: {one.now}" for one in found if has_mig(one)))
