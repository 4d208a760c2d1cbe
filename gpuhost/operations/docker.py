"""The write side of the container engine."""

from __future__ import annotations

import json
from typing import Literal

from pyinfra import host

from gpuhost.checks.registry import failing
from gpuhost.domain.docker import daemon_json as keys
from gpuhost.operations import repository as apt_repositories
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.plans.docker import keys_not_live, merged_config, restart_stops
from gpuhost.plans.docker_packages import (
    conflicting_packages,
    has_unknown_engine,
    missing_packages,
    repository,
)
from gpuhost.remote.commands import (
    apt_install,
    apt_remove,
    apt_update,
    put,
    refuse,
    remove,
    run,
    script,
)
from gpuhost.settings import DOCKER_KEY_FINGERPRINT, Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON, DOCKER_RECORD

RESTART_TIMEOUT = 400
NO_OBJECT = f"{DAEMON_JSON} is no JSON object: mend it first"


@operation
def engine(
    source: Literal["docker-ce", "distro", "present"] = "docker-ce",
    mirror: str = "docker",
    key_fingerprint: str = DOCKER_KEY_FINGERPRINT,
    key_file: str | None = None,
    adopt: bool = False,
    apt_lock_timeout_s: int = 300,
) -> Commands:
    """
    Have the container engine with compose and buildx, running and started at boot. Packages of
    another source are replaced only when they hold no containers, or with adopt.

    + source: "docker-ce" (Docker's repository), "distro", or "present" (never install)
    + mirror: "docker", a China mirror by name, or a URL that stands for /docker-ce
    + key_fingerprint: the only key that may sign the repository
    + key_file: that key as a file on this machine; None: the host fetches it
    + adopt: replace an engine that holds containers
    + apt_lock_timeout_s: how long to wait for another apt, in seconds

    **Example:**

    .. code:: python

        from gpuhost.operations import docker
        docker.engine(name="Container engine", mirror="aliyun")
    """
    settings = Settings(
        docker_source=source,
        docker_mirror=mirror,
        docker_key_fingerprint=key_fingerprint,
        docker_key_file=key_file,
        adopt=adopt,
        apt_lock_timeout_s=apt_lock_timeout_s,
    )
    snapshot = read(settings)
    wrong = {finding.id for finding in failing(snapshot, settings, "docker")}
    if not wrong & {"docker.repository", "docker.packages", "docker.engine"}:
        host.noop("the engine runs, from the declared source")
        return
    foreign = conflicting_packages(snapshot, settings)
    refusal = _in_use(snapshot, settings, foreign)
    if refusal and not adopt:
        refuse("docker", refusal)
        return
    if "docker.repository" in wrong:
        repo = repository(settings, snapshot.system)
        clashes = [path for path in repo.clashes if snapshot.paths.get(path)]
        yield from apt_repositories.add(repo, key_file, clashes)
    if foreign:
        yield apt_remove(foreign, lock_timeout=apt_lock_timeout_s)
    if missing_packages(snapshot, settings):
        yield apt_update(lock_timeout=apt_lock_timeout_s)
        yield apt_install(missing_packages(snapshot, settings), lock_timeout=apt_lock_timeout_s)
    yield run("systemctl", "enable", "--now", "docker.service", seconds=120)


def _in_use(snapshot: Snapshot, settings: Settings, foreign: list[str]) -> str:
    """Why the engine that is there cannot be replaced unasked; empty if it holds nothing."""
    if has_unknown_engine(snapshot, settings):
        return (
            "an engine answers that none of the known packages brought; set adopt=True to replace "
            'it, or docker_source="present" to keep it'
        )
    if not foreign:
        return ""
    packages = " ".join(foreign)
    if snapshot.docker.engine is None:
        return (
            f"{packages} does not answer, so what it holds is unknown; set adopt=True to replace it"
        )
    names = ", ".join(container.name for container in snapshot.docker.containers)
    return f"{packages} holds containers: {names}" if names else ""


@operation
def daemon_json(
    registry_mirrors: tuple[str, ...] = (),
    log_max_size: str = "10m",
    log_max_file: int = 3,
    address_pools: tuple[str, ...] = (),
    data_root: str | None = None,
    live_restore: bool = True,
    features: dict[str, bool] | None = None,
    gpu: Literal["auto", "required", "none"] = "auto",
    restart: Literal["idle", "always", "never"] = "idle",
    adopt: bool = False,
) -> Commands:
    """
    Merge our keys into daemon.json and put them in force. Foreign keys are kept; a key that a
    person set otherwise is replaced only with adopt. The file is validated first, and the old one
    comes back if the engine does not start with the new one.

    + registry_mirrors: mirrors of Docker Hub
    + log_max_size, log_max_file: rotation of the containers' logs
    + address_pools: "10.200.0.0/16#24", networks for containers
    + data_root: where images and volumes live
    + live_restore: containers go on while the engine restarts
    + features: the engine's feature switches
    + gpu: register the nvidia runtime: where there is a card, always, never
    + restart: "idle" restarts when no container would stop, "always", or "never"
    + adopt: replace keys that a person set otherwise

    **Example:**

    .. code:: python

        from gpuhost.operations import docker
        docker.daemon_json(name="Engine configuration", log_max_size="50m", restart="always")
    """
    settings = Settings(
        docker_registry_mirrors=tuple(registry_mirrors),
        docker_log_max_size=log_max_size,
        docker_log_max_file=log_max_file,
        docker_address_pools=tuple(address_pools),
        docker_data_root=data_root,
        docker_live_restore=live_restore,
        docker_features=features or {},
        docker_restart=restart,
        gpu=gpu,
        adopt=adopt,
    )
    snapshot = read(settings)
    if snapshot.docker.engine is None and executing():
        refuse("docker", f"the engine does not answer: {snapshot.docker.engine_complaint}")
    elif snapshot.docker.config.values is None:
        refuse("docker", NO_OBJECT)
    else:
        yield from _bring_into_force(snapshot, settings)


@operation
def removed(restart: Literal["idle", "always", "never"] = "idle") -> Commands:
    """
    Take our keys out of daemon.json, and Docker's repository away from apt. The engine, its
    images, containers and volumes stay.

    + restart: as in `daemon_json`

    **Example:**

    .. code:: python

        from gpuhost.operations import docker
        docker.removed(name="Engine configuration removed")
    """
    settings = Settings(docker_restart=restart)
    snapshot = read(settings)
    repo = repository(settings, snapshot.system)
    if snapshot.docker.config.values is None:
        refuse("docker", NO_OBJECT)
        return
    left = keys.merge(snapshot.docker.config.values, {}, snapshot.docker.config.owned, adopt=False)
    if (
        not snapshot.docker.config.owned
        and snapshot.docker.sources is None
        and snapshot.docker.key is None
    ):
        host.noop("nothing of gpuhost's is in daemon.json or in apt's lists")
        return
    if snapshot.docker.sources is not None or snapshot.docker.key is not None:
        yield remove(repo.sources_path, repo.key_path)
    if snapshot.docker.config.owned:
        yield from _activate(snapshot, left, restart=_may_restart(snapshot, settings))


def _may_restart(snapshot: Snapshot, settings: Settings) -> bool:
    idle = settings.docker_restart == "idle" and not restart_stops(snapshot)
    return settings.docker_restart == "always" or idle


def _bring_into_force(snapshot: Snapshot, settings: Settings) -> Commands:
    merged = merged_config(snapshot, settings)
    may_restart = _may_restart(snapshot, settings)
    if merged.values == snapshot.docker.config.values and snapshot.docker.engine:
        if not keys_not_live(snapshot, settings):
            if merged.owned == snapshot.docker.config.owned:
                host.noop("daemon.json is as declared, and in force")
                return
            yield put(DOCKER_RECORD, _record(merged))
            return
        if not may_restart:
            stops = restart_stops(snapshot)
            refuse("docker", f"daemon.json waits for a restart, which stops {', '.join(stops)}")
            return
    yield from _activate(snapshot, merged, restart=may_restart)


def _activate(snapshot: Snapshot, merged: keys.Merge, *, restart: bool) -> Commands:
    # Foreign keys may hold a proxy's password: who closed the file finds it closed.
    file = snapshot.paths.get(DAEMON_JSON)
    yield put(f"{DAEMON_JSON}.gpuhost-new", merged.text, mode=file.mode if file else "0644")
    yield put(f"{DOCKER_RECORD}.gpuhost-new", _record(merged))
    yield script(
        "docker_config.sh",
        DAEMON_JSON,
        DOCKER_RECORD,
        "yes" if restart else "no",
        seconds=RESTART_TIMEOUT,
    )


def _record(merged: keys.Merge) -> str:
    return json.dumps({"daemon_json": merged.owned}) + "\n"
