"""The GPUs work: nvidia-smi and CUDA have used them, on the host and in a container."""

from __future__ import annotations

from datetime import datetime, timezone

from gpuhost.checks.finding import Status, Verdict, fail, later, ok
from gpuhost.checks.host.toolkit import NO_DRIVER, not_installed
from gpuhost.checks.registry import check, finding_of
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.toolkit.cause import NO_ACCESS
from gpuhost.domain.toolkit.causes import cause_of
from gpuhost.domain.toolkit.config import CONFIG
from gpuhost.domain.toolkit.cuda_answer import CudaAnswer
from gpuhost.domain.toolkit.cuda_causes import NO_CGROUPS, cuda_cause
from gpuhost.domain.toolkit.proof import Proof
from gpuhost.plans.toolkit import (
    cards,
    circumstances,
    cuda_conditions,
    kept_away,
    mig_is_on,
    prohibited_cards,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.toolkit import INSTALLED


@check(
    "toolkit.proof",
    "CUDA starts on the host, and nvidia-smi and CUDA have used every GPU in a container, with the "
    "current driver, toolkit and engine.",
)
def proof(snapshot: Snapshot, settings: Settings) -> Verdict:
    if verdict := not_installed(snapshot, settings):
        return verdict
    if not snapshot.nvidia.works:
        return later(NO_DRIVER)
    current = circumstances(snapshot, settings)
    if current is None:
        return later("the engine does not answer")
    expected = f"{cards(snapshot)} GPU(s) in a container"
    last = snapshot.toolkit.proof
    if last is None:
        return fail(expected, "not tested yet", fix=AGAIN)
    changes = last.circumstances.differences(current)
    installed = snapshot.paths.get(INSTALLED)
    if installed and installed.modified > last.time:
        # The engine looks for the toolkit when it starts: it may not know this version.
        changes.append("the toolkit was installed again")
    is_complete = last.circumstances.is_complete
    config_may_differ = CONFIG in changes or not is_complete
    if config_may_differ and _is_failing("toolkit.config", snapshot, settings):
        return later("the toolkit's configuration is wrong: see toolkit.config")
    if changes:
        return fail(expected, f"not tested since a change: {'; '.join(changes)}", fix=AGAIN)
    if last.host is None or not is_complete:
        lacks = "call CUDA" if last.host is None else "record the configuration"
        return fail(expected, f"tested by an older gpuhost, which did not {lacks}", fix=AGAIN)
    return _failure(snapshot, last, expected) or ok(
        f"{last.gpus} GPU(s) in {last.circumstances.image} on {_day(last.time)}",
        evidence=_versions(last),
    )


def _is_failing(id: str, snapshot: Snapshot, settings: Settings) -> bool:
    return finding_of(id, snapshot, settings).status is Status.FAIL


def _failure(snapshot: Snapshot, last: Proof, expected: str) -> Verdict | None:
    if last.host and not last.host.starts:
        return _cuda(snapshot, last.host, "CUDA starts on the host")
    if last.failure:
        known = cause_of(last.failure)
        if known is NO_ACCESS and snapshot.toolkit.config.no_cgroups:
            known = NO_CGROUPS
        fix = known.fix.format(image=last.circumstances.image)
        return fail(expected, known.cause or "it failed", evidence=last.failure, fix=fix)
    if last.gpus != cards(snapshot):
        return fail(
            expected,
            f"{last.gpus} GPU(s) in a container",
            fix="nvidia-smi -L, on the host and in a container; then run the deploy again",
        )
    inside = last.container or CudaAnswer(failure="it did not run in the container")
    if not inside.starts:
        return _cuda(snapshot, inside, "CUDA starts in a container", in_container=True)
    for where, answer in (("on the host", last.host), ("in a container", inside)):
        if answer and answer.count < last.gpus and not mig_is_on(snapshot):
            return fail(
                f"CUDA sees {last.gpus} GPU(s) {where}",
                f"it sees {answer.count}{_hidden(snapshot, answer)}",
                evidence=answer.words,
                fix="nvidia-smi -L; dmesg | grep -e NVRM -e Xid; then run the deploy again",
            )
    if line := kept_away(snapshot):
        return fail(
            "CUDA starts on the host",
            f"nvidia_uvm is not loaded, and cannot be: {line}",
            fix="grep -rn nvidia /etc/modprobe.d /lib/modprobe.d /proc/cmdline: remove the line; "
            "then modprobe nvidia_uvm",
        )
    if cards_off := prohibited_cards(snapshot):
        names = ", ".join(cards_off)
        return fail(
            "CUDA programs may use every card",
            f"compute mode Prohibited on card {names}: CUDA starts, and no program can use it",
            fix=f"nvidia-smi -i {','.join(cards_off)} -c 0; remove what sets it at boot",
        )
    return None


def _cuda(
    snapshot: Snapshot, answer: CudaAnswer, expected: str, *, in_container: bool = False
) -> Verdict:
    known = cuda_cause(answer, cuda_conditions(snapshot, in_container=in_container))
    return fail(expected, known.cause, evidence=answer.words, fix=known.fix)


def _hidden(snapshot: Snapshot, answer: CudaAnswer) -> str:
    """Which cards CUDA does not see, and what may hide them."""
    missing = [g for g in snapshot.nvidia.answering if g.uuid not in answer.uuids]
    names = ", ".join(f"card {gpu.index} ({gpu.name})" for gpu in missing)
    without = f", not {names}" if answer.uuids and names else ""
    hides = answer.visible is not None
    return without + (f"; CUDA_VISIBLE_DEVICES is {answer.visible!r}" if hides else "")


def _versions(last: Proof) -> str:
    version = last.container.version if last.container else 0
    return f"CUDA {version // 1000}.{version % 1000 // 10} started in it" if version else ""


def _day(time: int) -> str:
    try:
        return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d")
    except (OverflowError, OSError, ValueError):
        return "an unknown day"
