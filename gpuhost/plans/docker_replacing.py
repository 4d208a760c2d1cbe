"""What the engine's installation replaces or stops on a host in use, and whether it may."""

from __future__ import annotations

from gpuhost.plans.docker_packages import (
    ENGINES,
    RUNTIMES,
    conflicting_packages,
    has_unknown_engine,
    missing_packages,
)
from gpuhost.plans.engines import ForeignEngine, foreign_engines
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

KEEP = 'or docker_source="present" to keep it'


def to_stop(snapshot: Snapshot) -> list[ForeignEngine]:
    """Engines that cannot run beside ours: they share its socket, its bridge and its chains.

    One that runs while ours answers has its own, or both are in use as they are.
    """
    if snapshot.docker.engine:
        return []
    return [engine for engine in foreign_engines(snapshot) if engine.kind == "docker"]


def stopped(snapshot: Snapshot, settings: Settings) -> list[str]:
    """What the installation stops, for a person."""
    conflicting = conflicting_packages(snapshot, settings)
    names = snapshot.docker.names() if set(conflicting) & ENGINES else []
    engines = foreign_engines(snapshot)
    names += [f"all containers of {engine}" for engine in to_stop(snapshot)]
    if set(conflicting) & {*RUNTIMES, "containerd.io", "moby-containerd"}:
        names += [str(each) for each in engines if each.kind in ("kubernetes", "containerd")]
    return names


def refusal(snapshot: Snapshot, settings: Settings) -> str:
    """Why nothing is installed or replaced without `adopt`; "": nothing else is affected."""
    if has_unknown_engine(snapshot, settings):
        return (
            "the running engine was not installed from a known package; set adopt=True to replace "
            f"it, {KEEP}"
        )
    sharing = to_stop(snapshot)
    if not sharing and missing_packages(snapshot, settings):
        sharing = list(foreign_engines(snapshot))
    conflicting = conflicting_packages(snapshot, settings)
    if sharing:
        return _beside(sharing, conflicting, stopped(snapshot, settings))
    return _in_place_of(conflicting, snapshot) if set(conflicting) & ENGINES else ""


def _beside(engines: list[ForeignEngine], conflicting: list[str], stops: list[str]) -> str:
    effect = f"would stop {', '.join(stops)}" if stops else "would run beside it"
    packages = f", and replaces {' '.join(conflicting)}" if conflicting else ""
    return (
        f"another container engine is here: {', '.join(map(str, engines))}; "
        f"the installation {effect}{packages}: set adopt=True to allow it"
    )


def _in_place_of(conflicting: list[str], snapshot: Snapshot) -> str:
    packages = " ".join(conflicting)
    if set(conflicting) <= set(RUNTIMES):
        return (
            f"{packages} would be replaced by containerd.io, and no Docker engine uses it here: "
            "what uses it would stop; set adopt=True to replace it"
        )
    if snapshot.docker.engine is None:
        return (
            f"{packages} does not answer, so its containers are unknown; "
            "set adopt=True to replace it"
        )
    names = ", ".join(snapshot.docker.names())
    return f"{packages} holds containers: {names}" if names else ""
