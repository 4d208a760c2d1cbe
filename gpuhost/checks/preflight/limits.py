"""Limits of services: those that the engine refuses, and known needs of programs on cards."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.appfile.compose.limits import DeclaredLimits
from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.preflight import app_check
from gpuhost.checks.preflight.proposal import Proposal
from gpuhost.domain.docker.ulimits import UNLIMITED, Limit, files_needed
from gpuhost.domain.sizes import GB, format_size
from gpuhost.plans.docker_flags import engine_setting
from gpuhost.plans.ulimits import engine_defaults, in_words, inherited, refused
from gpuhost.release.variant import NoVariant, Reservation

SHM_FIX = "set x-gpuhost.resources.{service}.shm_gb: 8, or ipc: host"
MEMLOCK_FIX = "set ulimits: {{memlock: -1}} for {service} in the Compose file"
NOFILE_FIX = (
    "set ulimits: {{nofile: {needed}}} for {service} in the Compose file, or for all containers "
    'default-ulimits: {{"nofile": {{"Name": "nofile", "Soft": {needed}, "Hard": {needed}}}}} in '
    "/etc/docker/daemon.json"
)
Problem = tuple[str, str]


@app_check(
    "app.limits",
    "The engine can give the limits that services declare, and services with cards get the shared "
    "memory, locked memory and open files that they are known to need.",
)
def limits(proposal: Proposal) -> Verdict:
    choice = proposal.choice
    if isinstance(choice, NoVariant):
        return skip("see app.variant")
    expected = "limits of the engine that are enough"
    if impossible := list(_impossible(proposal)):
        return fail(expected, _said(impossible), fix=_fix(impossible))
    if not choice.reservations:
        return skip("no service gets a card")
    problems = [
        found
        for service, reserved in choice.reservations.items()
        for found in _problems(proposal, service, reserved)
    ]
    if problems:
        return warn(expected, _said(problems), fix=_fix(problems))
    return ok(expected)


def _said(problems: list[Problem]) -> str:
    return "; ".join(what for what, _ in problems)


def _fix(problems: list[Problem]) -> str:
    return ". ".join(dict.fromkeys(fix for _, fix in problems))


def _impossible(proposal: Proposal) -> Iterator[Problem]:
    """Limits with which containers do not start."""
    for service, written in proposal.services.items():
        declared = {name: one for name, one in written.limits.ulimits.items() if one}
        for what, fix in refused(proposal.snapshot, declared):
            yield f"{service} does not start: ulimits of {what}", f"{fix} (ulimits of {service})"
    for what, fix in refused(proposal.snapshot, engine_defaults(proposal.snapshot)):
        yield (
            f"containers do not start: the engine's default-ulimits of {what}",
            f"{fix} (default-ulimits in /etc/docker/daemon.json or of dockerd)",
        )


def _problems(proposal: Proposal, service: str, reserved: Reservation) -> Iterator[Problem]:
    """What is not enough, and what to set. A need that nobody knows is no problem."""
    written = proposal.services.get(service)
    declared = written.limits if written else DeclaredLimits()
    block = proposal.app.block.resources.get(service)
    in_block = int(block.shm_gb * GB) if block and block.shm_gb else 0
    size, ram = in_block or declared.shm_bytes or 0, proposal.snapshot.memory.total
    # NCCL exchanges between cards through /dev/shm, if it has no NVLink or P2P.
    several = (reserved.count or len(reserved.device_ids)) > 1
    default = engine_setting(proposal.snapshot, "default-shm-size")
    own = declared.own_shm or bool(in_block) or default is not None
    if several and not own:
        what = f"{service} has several cards, and /dev/shm of 64 MB: NCCL between them needs more"
        yield what, SHM_FIX.format(service=service)
    if size > ram:
        what = f"{service} has {format_size(size)} of /dev/shm, the host has {format_size(ram)}"
        yield what, f"lower shm_size of {service}"
    locked = inherited(proposal.snapshot, "memlock")
    is_set = "memlock" in {**engine_defaults(proposal.snapshot), **declared.ulimits}
    if declared.rdma and not is_set and not (locked and locked.soft == UNLIMITED):
        memory = in_words("memlock", locked.soft) if locked else "an unknown amount"
        what = f"{service} gets InfiniBand devices, and {memory} of locked memory: RDMA needs more"
        yield what, MEMLOCK_FIX.format(service=service)
    needed = files_needed((written.image if written else None) or "")
    files = _open_files(proposal, declared)
    if needed and files and files.hard < needed:
        what = (
            f"{service} can open {files.hard} files, its program asks for {needed}: it does not "
            "start, or fails with many requests (Too many open files)"
        )
        yield what, NOFILE_FIX.format(service=service, needed=needed)


def _open_files(proposal: Proposal, declared: DeclaredLimits) -> Limit | None:
    """The limit of a service's containers; None: not known."""
    if "nofile" in declared.ulimits:
        return declared.ulimits["nofile"]
    given = engine_defaults(proposal.snapshot).get("nofile")
    return given or inherited(proposal.snapshot, "nofile")
