"""The operation on MIG: parts of cards as devices of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pyinfra import host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.operations.nvidia_record import put_record
from gpuhost.operations.nvidia_settings import Gpu
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.operations.units import enable_missing, refuse_files, remove_units, write_files
from gpuhost.plans.host_file import HostFile
from gpuhost.plans.nvidia_mig import (
    PROGRAM,
    UNIT,
    UNIT_PATH,
    Layout,
    arguments,
    has_mig,
    host_files,
    layouts,
    unknown_cards,
    wanted_of,
)
from gpuhost.remote.commands import run
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

APPLY_SECONDS = 600


@operation
def layout(
    mig: Mapping[str, Mapping[str, int]] | None = None,
    gpu: Gpu = "auto",
    adopt: bool = False,
    present: bool = True,
) -> Commands:
    """
    Divide cards into MIG devices, now and at every boot: the driver forgets instances, and since
    Hopper the mode too. A card that programs use is left as it is. Containers get the devices by
    the CDI specification, which is generated again.

    + mig: profiles and how many, by the index of a card or "all"; {} for a card: MIG off
    + gpu: "auto" (if there is a card), "required", or "none"
    + adopt: replace instances that gpuhost did not make
    + present: False: remove the layouts that gpuhost made

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia_mig
        nvidia_mig.layout(name="MIG", mig={"0": {"3g.40gb": 2}})
    """
    declared = {card: dict(counts) for card, counts in (mig or {}).items()} if present else {}
    settings = Settings(gpu=gpu, nvidia_mig=declared, adopt=adopt)
    snapshot = read(settings, despite=["nvidia_upkeep.persistence"])
    finding = finding_of("nvidia.mig", snapshot, settings)
    if finding.status is not Status.FAIL and not _remembers(snapshot, settings):
        host.noop(f"MIG: {finding.actual}")
        return
    found = layouts(snapshot, settings)
    if reason := _refusal(snapshot, settings, found):
        refuse("nvidia", reason)
        return
    wanted, record = wanted_of(found), snapshot.nvidia.record
    change = {one.gpu.uuid: one.wanted or "" for one in found if _changes(one)}
    files = _differing(snapshot, wanted) if wanted or change else []
    if refuse_files("nvidia", snapshot, [file.path for file in files], adopt=adopt):
        return
    commands = [*write_files(snapshot, files)]
    if wanted:
        commands += enable_missing(snapshot, files, UNIT)
    if dict(record.mig) != wanted:
        # Before the change: what it makes is gpuhost's, also if it ends early.
        commands.append(put_record(replace(record, mig=wanted)))
    if change:
        commands.append(run(PROGRAM, "apply", *arguments(change), seconds=APPLY_SECONDS))
    if not wanted and (change or snapshot.paths.get(UNIT_PATH)):
        commands += remove_units(snapshot, [file.path for file in host_files({})], UNIT)
    if not commands:
        host.noop(f"MIG: {finding.actual}")
    yield from commands


def _remembers(snapshot: Snapshot, settings: Settings) -> bool:
    """Nothing is declared, and the record still has a layout."""
    return not settings.nvidia_mig and bool(snapshot.nvidia.record.mig)


def _changes(one: Layout) -> bool:
    """A mode that changes at the next boot cannot be changed before it."""
    return has_mig(one) and not one.pending and (not one.is_right or one.is_left_over)


def _refusal(snapshot: Snapshot, settings: Settings, found: tuple[Layout, ...]) -> str:
    if unknown := unknown_cards(snapshot, settings):
        return f"nvidia_mig: no card {', '.join(unknown)} on this host"
    if without := [one.card for one in found if one.wanted and not has_mig(one)]:
        return f"nvidia_mig: {', '.join(without)} has no MIG"
    foreign = [one for one in found if _changes(one) and one.is_foreign]
    if foreign and not settings.adopt:
        cards = "; ".join(f"{one.card}: {one.actual}" for one in foreign)
        return f"instances that gpuhost did not make would be destroyed: {cards}; set adopt=True"
    return ""


def _differing(snapshot: Snapshot, wanted: Mapping[str, str]) -> list[HostFile]:
    return [file for file in host_files(wanted) if not file.is_on(snapshot)]
