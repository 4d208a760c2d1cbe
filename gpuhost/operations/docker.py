"""Operations on the container engine."""

from __future__ import annotations

import json
from typing import Literal

from pyinfra import host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.domain.docker import daemon_json as keys
from gpuhost.operations import repository as apt_repositories
from gpuhost.operations.findings import failing_ids
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.plans.docker import keys_not_live, merged_config, restart_stops
from gpuhost.plans.docker_packages import (
    conflicting_packages,
    has_unknown_engine,
    missing_packages,
    repository,
)
from gpuhost.remote.apt import LOCK_TIMEOUT_S, apt_remove, apt_update_install
from gpuhost.remote.commands import put, run, script
from gpuhost.settings import DOCKER_KEY_FINGERPRINT, Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON, DOCKER_RECORD

RESTART_SECONDS = 400
NOT_AN_OBJECT = f"{DAEMON_JSON} is not a JSON object: repair it first"

Restart = Literal["idle", "always", "never"]


@operation
def engine(
    source: Literal["docker-ce", "distro", "present"] = "docker-ce",
    mirror: str = "docker",
    key_fingerprint: str = DOCKER_KEY_FINGERPRINT,
    key_file: str | None = None,
    adopt: bool = False,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Install the container engine with compose and buildx, start it, and enable it at boot. Packages
    from another source are replaced only if they hold no containers, or with `adopt`.

    + source: "docker-ce" (Docker's repository), "distro", or "present" (never install)
    + mirror: "docker", a mirror in China by name, or a URL in place of /docker-ce
    + key_fingerprint: the only key that may sign the repository
    + key_file: that key as a file on this machine; None: the host downloads it
    + adopt: replace an engine that holds containers
    + lock_timeout_s: seconds to wait for another apt process

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
        apt_lock_timeout_s=lock_timeout_s,
    )
    snapshot = read(settings)
    wrong = failing_ids(snapshot, settings, "docker")
    if not wrong & {"docker.repository", "docker.packages", "docker.engine"}:
        host.noop("the engine runs, from the declared source")
        return
    foreign = conflicting_packages(snapshot, settings)
    reason = _why_not_replaced(snapshot, settings, foreign)
    if reason and not adopt:
        refuse("docker", reason)
        return
    if finding_of("docker.repository", snapshot, settings).status is Status.FAIL:
        yield from apt_repositories.add(repository(settings, snapshot.system), snapshot, key_file)
    if foreign:
        yield apt_remove(foreign, lock_timeout_s=lock_timeout_s)
    if packages := missing_packages(snapshot, settings):
        yield from apt_update_install(packages, lock_timeout_s=lock_timeout_s)
    yield run("systemctl", "enable", "--now", "docker.service", seconds=120)


def _why_not_replaced(snapshot: Snapshot, settings: Settings, foreign: list[str]) -> str:
    """Why the installed engine is not replaced without `adopt`; empty if it holds nothing."""
    if has_unknown_engine(snapshot, settings):
        return (
            "the running engine was not installed from a known package; set adopt=True to replace "
            'it, or docker_source="present" to keep it'
        )
    if not foreign:
        return ""
    packages = " ".join(foreign)
    if snapshot.docker.engine is None:
        return (
            f"{packages} does not answer, so its containers are unknown; "
            "set adopt=True to replace it"
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
    restart: Restart = "idle",
    adopt: bool = False,
    present: bool = True,
) -> Commands:
    """
    Merge gpuhost's keys into daemon.json and activate them. Other keys are kept; a key that has
    another value is replaced only with `adopt`. The file is validated first, and if the engine does
    not start with it, the previous one is restored.

    + registry_mirrors: mirrors of Docker Hub
    + log_max_size, log_max_file: rotation of the containers' logs
    + address_pools: networks for containers: "10.200.0.0/16#24"
    + data_root: the directory of images and volumes
    + live_restore: containers keep running while the engine restarts
    + features: the engine's feature switches
    + gpu: register the nvidia runtime: "auto" (if there is a card), "required", or "none"
    + restart: restart the engine: "idle" (if no container would stop), "always", or "never"
    + adopt: replace keys that have another value
    + present: False: remove gpuhost's keys from daemon.json, and Docker's repository from apt (what
      was put aside for it is restored); the engine, its images, containers and volumes stay

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
    if not present:
        yield from _remove(snapshot, settings)
    elif snapshot.docker.engine is None and executing():
        refuse("docker", f"the engine does not answer: {snapshot.docker.engine_complaint}")
    elif snapshot.docker.config.values is None:
        refuse("docker", NOT_AN_OBJECT)
    else:
        yield from _merge(snapshot, settings)


def _remove(snapshot: Snapshot, settings: Settings) -> Commands:
    config = snapshot.docker.config
    if config.values is None:
        refuse("docker", NOT_AN_OBJECT)
        return
    has_repository = snapshot.docker.sources is not None or snapshot.docker.key is not None
    if not config.owned and not has_repository:
        host.noop("gpuhost has set nothing in daemon.json or in apt's sources")
        return
    if has_repository:
        yield from apt_repositories.delete(repository(settings, snapshot.system), snapshot)
    if config.owned:
        others = keys.merge(config.values, {}, config.owned, adopt=False)
        yield from _activate(snapshot, others, restart=_may_restart(snapshot, settings))


def _may_restart(snapshot: Snapshot, settings: Settings) -> bool:
    is_idle = settings.docker_restart == "idle" and not restart_stops(snapshot)
    return settings.docker_restart == "always" or is_idle


def _merge(snapshot: Snapshot, settings: Settings) -> Commands:
    merged = merged_config(snapshot, settings)
    may_restart = _may_restart(snapshot, settings)
    if merged.values == snapshot.docker.config.values and snapshot.docker.engine:
        if not keys_not_live(snapshot, settings):
            if merged.owned == snapshot.docker.config.owned:
                host.noop("daemon.json is as declared, and active")
                return
            yield put(DOCKER_RECORD, _record(merged))
            return
        if not may_restart:
            stops = restart_stops(snapshot)
            refuse("docker", f"daemon.json needs a restart, which stops {', '.join(stops)}")
            return
    yield from _activate(snapshot, merged, restart=may_restart)


def _activate(snapshot: Snapshot, merged: keys.Merge, *, restart: bool) -> Commands:
    # Other keys may hold a proxy's password: the file keeps its mode.
    file = snapshot.paths.get(DAEMON_JSON)
    yield put(f"{DAEMON_JSON}.gpuhost-new", merged.text, mode=file.mode if file else "0644")
    yield put(f"{DOCKER_RECORD}.gpuhost-new", _record(merged))
    yield script(
        "docker_config.sh",
        DAEMON_JSON,
        DOCKER_RECORD,
        "yes" if restart else "no",
        seconds=RESTART_SECONDS,
    )


def _record(merged: keys.Merge) -> str:
    return json.dumps({"daemon_json": merged.owned}) + "\n"
