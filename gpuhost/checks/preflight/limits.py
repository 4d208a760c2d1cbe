"""Limits that programs on cards are known to need: shared memory, locked memory."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.appfile.compose.limits import DeclaredLimits
from gpuhost.checks.finding import Verdict, ok, skip, warn
from gpuhost.checks.preflight import app_check
from gpuhost.checks.preflight.proposal import Proposal
from gpuhost.domain.sizes import GB, format_size
from gpuhost.release.variant import NoVariant, Reservation

SHM_FIX = "set x-gpuhost.resources.{service}.shm_gb: 8, or ipc: host"
MEMLOCK_FIX = "set ulimits: {{memlock: -1}} for {service} in the Compose file"


@app_check("app.limits", "Services with cards get the shared and locked memory that they need.")
def limits(proposal: Proposal) -> Verdict:
    choice = proposal.choice
    if isinstance(choice, NoVariant):
        return skip("see app.variant")
    if not choice.reservations:
        return skip("no service gets a card")
    problems = [
        found
        for service, reserved in choice.reservations.items()
        for found in _problems(proposal, service, reserved)
    ]
    expected = "limits of the engine that are enough"
    if not problems:
        return ok(expected)
    return warn(
        expected,
        "; ".join(what for what, _ in problems),
        fix=". ".join(dict.fromkeys(fix for _, fix in problems)),
    )


def _problems(proposal: Proposal, service: str, reserved: Reservation) -> Iterator[tuple[str, str]]:
    """What is not enough, and what to set. A need that nobody knows is no problem."""
    written = proposal.services.get(service)
    declared = written.limits if written else DeclaredLimits()
    block = proposal.app.block.resources.get(service)
    in_block = int(block.shm_gb * GB) if block and block.shm_gb else 0
    size, ram = in_block or declared.shm_bytes or 0, proposal.snapshot.memory.total
    values = proposal.snapshot.docker.config.values or {}
    # NCCL exchanges between cards through /dev/shm, if it has no NVLink or P2P.
    several = (reserved.count or len(reserved.device_ids)) > 1
    own = declared.own_shm or bool(in_block) or "default-shm-size" in values
    if several and not own:
        what = f"{service} has several cards, and /dev/shm of 64 MB: NCCL between them needs more"
        yield what, SHM_FIX.format(service=service)
    if size > ram:
        what = f"{service} has {format_size(size)} of /dev/shm, the host has {format_size(ram)}"
        yield what, f"lower shm_size of {service}"
    given = proposal.snapshot.engine_limits.memlock
    is_set = declared.memlock or "memlock" in _default_ulimits(values) or given == "unlimited"
    if declared.rdma and not is_set:
        memory = format_size(int(given)) if given else "an unknown amount"
        what = f"{service} gets InfiniBand devices, and {memory} of locked memory: RDMA needs more"
        yield what, MEMLOCK_FIX.format(service=service)


def _default_ulimits(values: dict[str, object]) -> dict[str, object]:
    found = values.get("default-ulimits")
    return found if isinstance(found, dict) else {}
