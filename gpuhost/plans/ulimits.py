"""The limits that a container of a service gets, and those that the engine would refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gpuhost.domain.docker.ulimits import UNLIMITED, Limit, daemon_ulimits
from gpuhost.domain.sizes import format_size
from gpuhost.snapshot import Snapshot

UNIT_LIMITS = {"nofile": "LimitNOFILE", "memlock": "LimitMEMLOCK"}


def engine_defaults(snapshot: Snapshot) -> dict[str, Limit]:
    """What the engine sets for containers that declare nothing. Raises NotRead."""
    given = (flag.flag for flag in snapshot.docker_unit.flags or ())
    flags = [flag.value for flag in given if flag.name == "default-ulimit"]
    return daemon_ulimits(snapshot.docker.config.values or {}, flags)


def inherited(snapshot: Snapshot, name: str) -> Limit | None:
    """What a container has without any declaration; None: not known."""
    limits = snapshot.engine_limits
    return {"nofile": limits.nofile, "memlock": limits.memlock}.get(name)


def refused(snapshot: Snapshot, ulimits: Mapping[str, Limit]) -> Iterator[tuple[str, str]]:
    """Limits with which no container starts ("error setting rlimit type 7"), and what to do."""
    limits = snapshot.engine_limits
    for name, wanted in ulimits.items():
        shown, most = in_words(name, wanted.hard), limits.most_files
        engine = inherited(snapshot, name)
        if wanted.soft > wanted.hard:
            low = f"{in_words(name, wanted.soft)} soft, {shown} hard"
            yield f"{name} {low}", f"set a soft limit of {name} that is not above the hard one"
        elif name == "nofile" and most is not None and wanted.hard > most:
            yield f"{name} {shown}, and the kernel allows {most}", f"set {name} to {most} or less"
        elif engine and wanted.hard > engine.hard and limits.may_raise is False:
            has = in_words(name, engine.hard)
            yield (
                f"{name} {shown}, and the engine has {has}: on this host it cannot give more",
                f"lower {name}; or set {UNIT_LIMITS[name]}= for {limits.unit}, and where the host "
                f"is an LXC container itself, lxc.prlimit.{name} of that container",
            )


def in_words(name: str, value: int) -> str:
    if value == UNLIMITED:
        return "unlimited"
    if name != "memlock":
        return str(value)
    return format_size(value) if value >= 1 << 20 else f"{value >> 10} KB"
