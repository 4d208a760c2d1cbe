"""Operations on the container engine."""

from __future__ import annotations

from typing import Literal

from pyinfra import host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.domain.apt.vendor_keys import DOCKER_KEY
from gpuhost.domain.docker import daemon_json as keys
from gpuhost.operations import repository as apt_repositories
from gpuhost.operations.docker_activation import (
    activate,
    prepare_pools,
    record,
    repair,
    restart_engine,
    stop_engines,
)
from gpuhost.operations.docker_start import masked_engine_units, start
from gpuhost.operations.findings import failing_ids
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.operations.refuse import refuse, tell
from gpuhost.operations.units import refuse_reload
from gpuhost.plans.apt_archives import optional_archives
from gpuhost.plans.docker import keys_not_live, merged_config, restart_stops
from gpuhost.plans.docker_addresses import cuts_login_off
from gpuhost.plans.docker_flags import unit_fault, untried
from gpuhost.plans.docker_packages import missing_packages, replaced_packages, repository
from gpuhost.plans.docker_replacing import refusal, stopped, to_stop
from gpuhost.plans.docker_ways import lost_rules
from gpuhost.remote.apt import LOCK_TIMEOUT_S, apt_install, apt_remove, apt_update
from gpuhost.remote.commands import put
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON, DOCKER_RECORD

Restart = Literal["idle", "always", "never"]


@operation
def engine(
    source: Literal["docker-ce", "distro", "present"] = "docker-ce",
    mirror: str = "docker",
    key_fingerprint: str = DOCKER_KEY,
    key_file: str | None = None,
    address_pools: tuple[str, ...] = (),
    restart: Restart = "idle",
    adopt: bool = False,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Install the container engine with compose and buildx, start it, and enable it at boot. Packages
    from another source are replaced only if they hold no containers, or with `adopt`. An engine
    that runs and does not answer is restarted. Nothing is started that would cut this login off.

    + source: "docker-ce" (Docker's repository), "distro", or "present" (never install)
    + mirror: "docker", a mirror in China by name, or a URL in place of /docker-ce
    + key_fingerprint: the only key that may sign the repository
    + key_file: that key as a file on this machine; None: the host downloads it
    + address_pools: networks for containers: "10.200.0.0/16#24"; the first start needs them already
    + restart: restart an engine that does not answer: "idle" (if its containers outlive it),
      "always", or "never"
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
        docker_address_pools=tuple(address_pools),
        docker_restart=restart,
        adopt=adopt,
        apt_lock_timeout_s=lock_timeout_s,
    )
    snapshot = read(settings, despite=["nvidia_upkeep.persistence"])
    wrong = failing_ids(snapshot, settings, "docker")
    if not wrong & {"docker.repository", "docker.packages", "docker.engine", "docker.engines"}:
        if snapshot.docker.engine and (tables := lost_rules(snapshot)):
            yield from _make_rules_again(snapshot, settings, tables)
        else:
            host.noop("the engine runs, from the declared source")
        return
    reason = refusal(snapshot, settings)
    if reason and not adopt:
        refuse("docker", reason)
        return
    config = snapshot.docker.config
    mistake = _is_somebody_elses_mistake(snapshot) or bool(config.values and config.refused)
    if snapshot.docker.engine is None and mistake:
        refuse("docker", _repair_first(snapshot))
        return
    if cut := cuts_login_off(snapshot, settings):
        refuse("docker", cut)
        return
    missing = missing_packages(snapshot, settings)
    is_stuck = snapshot.docker.is_stuck and not missing
    if is_stuck and not _may_restart(snapshot, settings):
        refuse("docker", _restart_first(snapshot))
        return
    if masked_engine_units(snapshot) and refuse_reload("docker", snapshot, adopt=adopt):
        return
    if stops := stopped(snapshot, settings):
        tell("docker", f"stops {', '.join(stops)}")
    added = None
    if finding_of("docker.repository", snapshot, settings).status is Status.FAIL:
        added = repository(settings, snapshot.system)
        yield from apt_repositories.add(added, snapshot, key_file, adopt=adopt)
    if missing:
        # Before anything stops: the archive may be out of reach.
        yield apt_update(optional_archives(snapshot, added), lock_timeout_s=lock_timeout_s)
    yield from stop_engines(to_stop(snapshot))
    if replaced := replaced_packages(snapshot, settings):
        tell("docker", f"replaces {' '.join(replaced)}")
        yield apt_remove(replaced, lock_timeout_s=lock_timeout_s)
    if snapshot.docker.engine is None:
        yield from repair(snapshot)
    if not any(unit.loaded for unit in (snapshot.docker.service, snapshot.docker.socket)):
        yield from prepare_pools(snapshot, settings)
    if missing:
        yield apt_install(missing, lock_timeout_s=lock_timeout_s)
    yield from start(snapshot, is_stuck=is_stuck)


def _make_rules_again(snapshot: Snapshot, settings: Settings, tables: list[str]) -> Commands:
    """dockerd makes its rules when it starts, and never again."""
    if _may_restart(snapshot, settings):
        yield from restart_engine()
        return
    stops = ", ".join(restart_stops(snapshot))
    effect = f"stops {stops}" if stops else "is not allowed"
    reason = f"its rules are gone from {' and '.join(tables)}; a restart {effect}"
    refuse("docker", f'{reason}: systemctl restart docker, or docker_restart="always"')


def _is_somebody_elses_mistake(snapshot: Snapshot) -> bool:
    config = snapshot.docker.config
    return config.values is None and not config.is_ours_and_broken


def _restart_first(snapshot: Snapshot) -> str:
    why, stops = snapshot.docker.engine_complaint, ", ".join(restart_stops(snapshot))
    effect = f"may stop {stops}" if stops else "is not allowed"
    return (
        f"the engine runs and does not answer ({why}); a restart {effect}: "
        'systemctl restart docker, or docker_restart="always"'
    )


def _repair_first(snapshot: Snapshot) -> str:
    config = snapshot.docker.config
    if config.refused:
        return f"dockerd refuses {DAEMON_JSON}: {config.refused}: repair it first"
    return f"{DAEMON_JSON} is {config.fault}: repair it first"


@operation
def daemon_json(
    registry_mirrors: tuple[str, ...] = (),
    log_max_size: str = "10m",
    log_max_file: int = 3,
    address_pools: tuple[str, ...] = (),
    data_root: str | None = None,
    live_restore: bool = True,
    cgroup_driver: Literal["cgroupfs", "systemd"] | None = None,
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
    + cgroup_driver: "cgroupfs": containers keep GPUs that the toolkit's hook gave them when systemd
      reloads its units; containers that run need a restart; None: the engine's own choice
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
        docker_cgroup_driver=cgroup_driver,
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
    elif _is_somebody_elses_mistake(snapshot):
        refuse("docker", _repair_first(snapshot))
    else:
        yield from _merge(snapshot, settings)


def _remove(snapshot: Snapshot, settings: Settings) -> Commands:
    config = snapshot.docker.config
    if _is_somebody_elses_mistake(snapshot):
        refuse("docker", _repair_first(snapshot))
        return
    has_repository = snapshot.docker.sources is not None or snapshot.docker.key is not None
    if not config.owned and not has_repository:
        host.noop("gpuhost has set nothing in daemon.json or in apt's sources")
        return
    if has_repository:
        yield from apt_repositories.delete(repository(settings, snapshot.system), snapshot)
    if config.owned:
        others = keys.merge(config.usable, {}, config.owned, adopt=False)
        yield from activate(snapshot, others, restart=_may_restart(snapshot, settings))


def _may_restart(snapshot: Snapshot, settings: Settings) -> bool:
    is_idle = settings.docker_restart == "idle" and not restart_stops(snapshot)
    return settings.docker_restart == "always" or is_idle


def _merge(snapshot: Snapshot, settings: Settings) -> Commands:
    merged = merged_config(snapshot, settings)
    may_restart = _may_restart(snapshot, settings)
    is_written = merged.values == snapshot.docker.config.values and not snapshot.docker.config.fault
    if is_written and snapshot.docker.config.refused:
        refuse("docker", _repair_first(snapshot))
        return
    if is_written and snapshot.docker.engine:
        if not keys_not_live(snapshot, settings):
            if merged.owned == snapshot.docker.config.owned:
                host.noop("daemon.json is as declared, and active")
                return
            yield put(DOCKER_RECORD, record(merged))
            return
        if not may_restart:
            stops = restart_stops(snapshot)
            refuse("docker", f"daemon.json needs a restart, which stops {', '.join(stops)}")
            return
    if fault := unit_fault(snapshot, merged.values):
        refuse("docker", f"{fault.reason}; {fault.fix}")
    elif (reason := untried(snapshot)) and not may_restart:
        refuse("docker", f"{reason}, and no restart may try {DAEMON_JSON} now")
    else:
        yield from activate(snapshot, merged, restart=may_restart)
