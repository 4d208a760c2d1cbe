"""The container engine as the settings declare it on a host."""

from __future__ import annotations

import re
from dataclasses import replace
from posixpath import normpath, split
from typing import Any

from gpuhost.domain.docker import daemon_json
from gpuhost.plans.docker_flags import switch
from gpuhost.plans.gpu import needs_gpu
from gpuhost.plans.proxy import engine_is_behind
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON
from gpuhost.snapshot.engine import Engine

CGROUP_DRIVER = "native.cgroupdriver="
USERNS = "name=userns"
# With user namespaces dockerd uses a directory of this name below its data-root.
REMAPPED = re.compile(r"\d+\.\d+")
NVIDIA_RUNTIME = {"args": [], "path": "nvidia-container-runtime"}


def declared_keys(settings: Settings, *, gpu: bool, swarm: bool) -> dict[str, Any]:
    """The keys that the settings declare, by path.

    + gpu: register the nvidia runtime
    + swarm: live-restore must not be set (docs.docker.com/engine/daemon/live-restore)
    """
    keys: dict[str, Any] = {
        "log-driver": "json-file",
        "log-opts.max-size": settings.docker_log_max_size,
        "log-opts.max-file": str(settings.docker_log_max_file),
    }
    if settings.docker_live_restore and not swarm:
        keys["live-restore"] = True
    if settings.docker_registry_mirrors:
        keys["registry-mirrors"] = list(settings.docker_registry_mirrors)
    if settings.docker_address_pools:
        keys["default-address-pools"] = declared_pools(settings)
    if settings.docker_data_root:
        keys["data-root"] = settings.docker_data_root
    if settings.docker_cgroup_driver:
        keys["exec-opts"] = [f"{CGROUP_DRIVER}{settings.docker_cgroup_driver}"]
    for feature, on in settings.docker_features.items():
        keys[f"features.{feature}"] = on
    if gpu:
        keys["runtimes.nvidia"] = NVIDIA_RUNTIME
    return keys


def declared_pools(settings: Settings) -> list[dict[str, Any]]:
    return [
        {"base": base, "size": int(size or base.rpartition("/")[2])}
        for base, _, size in (pool.partition("#") for pool in settings.docker_address_pools)
    ]


def keys_for(snapshot: Snapshot, settings: Settings) -> dict[str, Any]:
    """The keys that daemon.json must have on this host, by path."""
    swarm = bool(snapshot.docker.engine and snapshot.docker.engine.swarm)
    return declared_keys(settings, gpu=needs_gpu(snapshot, settings), swarm=swarm)


def merged_config(snapshot: Snapshot, settings: Settings) -> daemon_json.Merge:
    """daemon.json as it should be on this host; an unreadable one counts as empty."""
    keys = keys_for(snapshot, settings)
    hidden = _hidden_by_new_root(snapshot, settings)
    if hidden:
        del keys["data-root"]
    present = snapshot.docker.config
    merged = daemon_json.merge(present.usable, keys, present.owned, adopt=settings.adopt)
    return replace(merged, conflicts=merged.conflicts + hidden)


def _hidden_by_new_root(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    """Another data-root does not move the containers of the old one: they would disappear."""
    engine, declared_root = snapshot.docker.engine, settings.docker_data_root
    if settings.adopt or not engine or not declared_root:
        return ()
    if is_root_of(engine, declared_root, snapshot):
        return ()
    names = ", ".join(container.name for container in snapshot.docker.containers)
    return (f"data-root is {engine.root} and holds {names}",) if names else ()


def is_root_of(engine: Engine, path: str, snapshot: Snapshot) -> bool:
    """Whether the engine keeps its data there. It says where links lead, and which directory below
    is that of its user namespace (moby, CreateDaemonRoot).
    """
    config = snapshot.docker.config
    roots = {normpath(path)}
    if path == config.usable.get("data-root"):
        roots.add(config.root)
    base, name = split(engine.root)
    remapped = USERNS in engine.isolation and REMAPPED.fullmatch(name)
    return (base if remapped else engine.root) in roots


def restart_stops(snapshot: Snapshot) -> list[str]:
    """The containers that a restart of the engine would stop: none if they outlive it."""
    docker = snapshot.docker
    if docker.engine.live_restore if docker.engine else _was_to_live_restore(snapshot):
        return []
    return docker.names(running=True)


def _was_to_live_restore(snapshot: Snapshot) -> bool:
    """Whether an engine that does not answer was started with live-restore."""
    file, started = snapshot.paths.get(DAEMON_JSON), snapshot.docker.service.started
    is_read = bool(file and started and file.modified <= started)
    return is_read and switch(snapshot, "live-restore") is True


def _engine(snapshot: Snapshot) -> Engine:
    if snapshot.docker.engine is None:
        raise NotRead(f"the engine does not answer: {snapshot.docker.engine_complaint}")
    return snapshot.docker.engine


def keys_not_live(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Keys of daemon.json that the running engine does not use."""
    running = _engine(snapshot)
    values = snapshot.docker.config.usable
    root = values.get("data-root", running.root)
    if isinstance(root, str) and is_root_of(running, root, snapshot):
        root = running.root
    differ = [
        key
        for key, file, live in (
            (
                "log-driver",
                values.get("log-driver", running.logging_driver),
                running.logging_driver,
            ),
            ("registry-mirrors", _mirrors(values), running.registry_mirrors),
            ("live-restore", values.get("live-restore", False), running.live_restore),
            ("data-root", root, running.root),
            ("exec-opts", _cgroup_driver(values, running), running.cgroup_driver),
            (
                "default-address-pools",
                _pools(values) or running.address_pools,
                running.address_pools,
            ),
        )
        if file != live
    ]
    differ += [
        f"runtimes.{name}"
        for name in _mapping(values.get("runtimes"))
        if name not in running.runtimes
    ]
    if engine_is_behind(snapshot):
        differ.append("the HTTP proxy")
    file = snapshot.paths.get(DAEMON_JSON)
    started = snapshot.docker.service.started
    if not differ and file and started and file.modified > started:
        differ.append(f"{DAEMON_JSON} changed after the engine started")
    return differ


def _mirrors(values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(mirror).rstrip("/") for mirror in _list(values.get("registry-mirrors")))


def _cgroup_driver(values: dict[str, Any], running: Engine) -> str:
    """The one that daemon.json names, the last of several; else the engine's own choice."""
    options = [str(option) for option in _list(values.get("exec-opts"))]
    named = [option for option in options if option.startswith(CGROUP_DRIVER)]
    if not named or not running.cgroup_driver:
        return running.cgroup_driver
    return named[-1].removeprefix(CGROUP_DRIVER)


def _pools(values: dict[str, Any]) -> tuple[str, ...]:
    pools = map(_mapping, _list(values.get("default-address-pools")))
    return tuple(f"{pool.get('base')}#{pool.get('size')}" for pool in pools)


def _mapping(value: Any) -> dict[str, Any]:
    """daemon.json may hold any value: what is not an object counts as empty."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
