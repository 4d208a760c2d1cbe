"""Directories of the host in which containers can write, of all kept releases of all apps."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from gpuhost.runner.contract import AppPaths, ReleasePaths
from gpuhost.runner.docker.resolved_model import written_by_containers
from gpuhost.runner.lib.failure import failure_of, temporary
from gpuhost.runner.lib.files import load_json, read_state_json
from gpuhost.runner.plan import BadPlan, load
from gpuhost.runner.state.journal import Journal


@dataclass(frozen=True)
class Mounts:
    """+ unread: releases whose containers may write anywhere in the shared/ of their app, and what
    a person does; "": it is damaged
    """

    paths: frozenset[Path]
    unread: Mapping[Path, str] = field(default_factory=dict)


def of_all_apps(apps: Path) -> Mounts:
    """+ apps: the directory of all apps"""
    paths: set[Path] = set()
    unread: dict[Path, str] = {}
    for home in sorted(apps.glob("*/releases/[!.]*")):
        try:
            found, fix = _of_release(ReleasePaths(home)), ""
        except OSError as error:
            found, fix = None, failure_of(error).fix
        if found is None:
            unread[home] = fix
            found = _anything(AppPaths(home.parent.parent), ReleasePaths(home))
        paths |= found
    return Mounts(frozenset(paths), unread)


def of_volumes(engine: Path) -> Iterator[Path]:
    """What volumes bind, also those that no model describes. + engine: its data directory

    Raises OSError.
    """
    for options in engine.glob("volumes/*/opts.json"):
        device = read_state_json(options).get("MountDevice")
        if isinstance(device, str) and device.startswith("/"):
            yield Path(device)


def _of_release(release: ReleasePaths) -> frozenset[Path] | None:
    """None: it has started containers, and what they mount is lost. Raises OSError."""
    models = [release.resolved, release.runs]
    known: list[frozenset[Path]] = []
    errors: list[OSError] = []
    # What runs has the same mounts, if one of the two is lost.
    for model in models:
        try:
            known.append(_mounted(model, model.stat().st_mtime_ns))
        except (OSError, ValueError) as error:
            errors += filter(None, (temporary(error),))
    if known:
        return frozenset().union(*known)
    if errors:
        raise errors[0]
    if release.override.exists():  # of an older gpuhost, and not activated since
        return frozenset()
    is_damaged = any(map(os.path.lexists, models))
    return None if is_damaged or _has_started(release) else frozenset()


@lru_cache(maxsize=1000)
def _mounted(model: Path, _: int) -> frozenset[Path]:
    """+ _: when the model was written"""
    return frozenset(map(Path, written_by_containers(load_json(model))))


def _has_started(release: ReleasePaths) -> bool:
    try:
        return Journal(release.journal).has_started
    except OSError:
        return True


def _anything(app: AppPaths, release: ReleasePaths) -> frozenset[Path]:
    try:
        declared = load(release.plan).directories
    except (BadPlan, OSError):
        declared = ()
    return frozenset((app.shared, *(app.shared / directory.path for directory in declared)))
