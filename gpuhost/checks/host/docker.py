"""The container engine: there, from the declared source, configured, and running that way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.host.proxy import engine_is_behind
from gpuhost.checks.registry import check
from gpuhost.domain.docker import daemon_json
from gpuhost.domain.sizes import GB, format_size
from gpuhost.plans.docker import ours
from gpuhost.plans.docker_packages import MIN_COMPOSE, repository, version, wanted
from gpuhost.plans.gpu import gpu_wanted
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON, Engine

AGAIN = "run the deploy again"
# As for RAM: firmware and the kernel keep their part of what was sold.
RESERVED_SHARE = 0.06


def conflicting(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Installed packages that cannot stay beside those of the declared source."""
    if settings.docker_source != "docker-ce":
        return []
    engines = ("docker.io", "docker-compose", "docker-compose-v2", "docker-buildx", "podman-docker")
    return [package for package in engines if package in snapshot.docker.packages]


def unknown_engine(snapshot: Snapshot, settings: Settings) -> bool:
    """An engine answers that neither the declared source nor a known package brought."""
    if settings.docker_source == "present" or snapshot.docker.engine is None:
        return False
    known = {wanted(settings, snapshot.system)[0], *conflicting(snapshot, settings)}
    return not known & snapshot.docker.packages.keys()


def missing(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Packages of the declared source that are not installed."""
    return [p for p in wanted(settings, snapshot.system) if p not in snapshot.docker.packages]


def desired_keys(snapshot: Snapshot, settings: Settings) -> dict[str, Any]:
    """What daemon.json has to say on this host, by path."""
    swarm = bool(snapshot.docker.engine and snapshot.docker.engine.swarm)
    return ours(settings, gpu=gpu_wanted(snapshot, settings), swarm=swarm)


def merged_config(snapshot: Snapshot, settings: Settings) -> daemon_json.Merge:
    """daemon.json as it should be on this host; an unreadable one counts as empty."""
    keys = desired_keys(snapshot, settings)
    hidden = _hidden_by_new_root(snapshot, settings)
    if hidden:
        del keys["data-root"]
    present = snapshot.docker.config
    merged = daemon_json.merge(present.values or {}, keys, present.owned, adopt=settings.adopt)
    return replace(merged, conflicts=merged.conflicts + hidden)


def _hidden_by_new_root(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    """Another data-root does not move what is in the old one: its containers would be gone."""
    engine, wanted_root = snapshot.docker.engine, settings.docker_data_root
    if settings.adopt or not engine or not wanted_root or engine.root == wanted_root:
        return ()
    names = ", ".join(container.name for container in snapshot.docker.containers)
    return (f"data-root is {engine.root} and holds {names}",) if names else ()


def restart_stops(snapshot: Snapshot) -> list[str]:
    """The containers that a restart of the engine would stop: none if they outlive it."""
    if snapshot.docker.engine and snapshot.docker.engine.live_restore:
        return []
    return [container.name for container in snapshot.docker.running_containers]


def _engine(snapshot: Snapshot) -> Engine:
    if snapshot.docker.engine is None:
        raise NotRead(f"the engine does not answer: {snapshot.docker.engine_complaint}")
    return snapshot.docker.engine


@check(
    "docker.repository", "apt has Docker's repository of `docker_mirror`, with the declared key."
)
def apt_repository(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.docker_source != "docker-ce":
        return skip(f'docker_source is "{settings.docker_source}"')
    repo = repository(settings, snapshot.system)
    if snapshot.docker.sources != repo.sources:
        found = "otherwise" if snapshot.docker.sources else "not there"
        return fail(repo.uri, f"{repo.sources_path} is {found}", fix=AGAIN)
    if snapshot.docker.key is None:
        return fail(f"the key {repo.fingerprint}", f"no {repo.key_path}", fix=AGAIN)
    refusal = repo.refused_key(snapshot.docker.key.encode())
    if refusal:
        return fail(f"the key {repo.fingerprint}", refusal, fix=f"rm {repo.key_path}; {AGAIN}")
    clashes = [path for path in repo.clashes if snapshot.paths.get(path)]
    if clashes:
        return fail("one list", f"{', '.join(clashes)} too", fix=AGAIN)
    return ok(repo.uri)


@check("docker.packages", "The engine, compose and buildx come from `docker_source`.")
def packages(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.docker_source == "present":
        return skip('docker_source is "present"')
    absent, foreign = missing(snapshot, settings), conflicting(snapshot, settings)
    expected = " ".join(wanted(settings, snapshot.system))
    if foreign:
        return fail(expected, f"{' '.join(foreign)} installed", fix=_replacing(snapshot, foreign))
    if absent:
        return fail(expected, f"not installed: {' '.join(absent)}", fix=AGAIN)
    main = wanted(settings, snapshot.system)[0]
    return ok(f"{main} {snapshot.docker.packages[main]}")


def _replacing(snapshot: Snapshot, foreign: list[str]) -> str:
    names = [container.name for container in snapshot.docker.containers]
    if names:
        return (
            f"set adopt=True to replace {' '.join(foreign)} and stop {', '.join(names)}, "
            'or docker_source="present" to keep it'
        )
    return AGAIN


@check("docker.engine", "The engine runs, answers, and starts at boot.")
def engine(snapshot: Snapshot, settings: Settings) -> Verdict:
    service = snapshot.docker.service
    if snapshot.docker.engine is None:
        return fail(
            "running",
            snapshot.docker.engine_complaint,
            fix="journalctl -u docker -n 50" if service.loaded else AGAIN,
        )
    if not service.enabled:
        return fail("starts at boot", "does not start at boot", fix="systemctl enable docker")
    return ok(f"running, {snapshot.docker.engine.version}")


@check("docker.compose", "The compose plugin is at least 2.24.4, which knows `!override`.")
def compose(snapshot: Snapshot, settings: Settings) -> Verdict:
    return _plugin(snapshot, "compose", MIN_COMPOSE)


@check("docker.buildx", "The buildx plugin is there, without which nothing can be built.")
def buildx(snapshot: Snapshot, settings: Settings) -> Verdict:
    return _plugin(snapshot, "buildx", ())


def _plugin(snapshot: Snapshot, name: str, least: tuple[int, ...]) -> Verdict:
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    found = snapshot.docker.engine.plugins.get(name)
    floor = ".".join(map(str, least))
    expected = f"at least {floor}" if least else "installed"
    if found is None:
        return fail(expected, "not installed", fix='set docker_source="docker-ce"')
    if version(found) < least:
        return fail(expected, found, fix='set docker_source="docker-ce", or upgrade the plugin')
    return ok(found, expected=expected)


@check("docker.config", "daemon.json says what the settings ask; foreign keys are kept.")
def config(snapshot: Snapshot, settings: Settings) -> Verdict:
    present = snapshot.docker.config
    if present.values is None:
        return fail(
            "a JSON object", f"{DAEMON_JSON} is no JSON object", fix=f"mend or move {DAEMON_JSON}"
        )
    merged = merged_config(snapshot, settings)
    if merged.conflicts:
        return fail(
            "as declared",
            f"set otherwise by someone: {'; '.join(merged.conflicts)}",
            fix="set adopt=True to replace it, or declare the same",
        )
    if merged.values != present.values:
        different = daemon_json.differences(present.values, desired_keys(snapshot, settings))
        stale = sorted(set(present.owned) - set(merged.owned))
        return fail("as declared", f"differs: {', '.join(different + stale)}", fix=AGAIN)
    return ok(f"{len(merged.owned)} keys as declared")


def not_live(snapshot: Snapshot, settings: Settings) -> list[str]:
    """What the running engine does otherwise than daemon.json says."""
    running = _engine(snapshot)
    values = snapshot.docker.config.values or {}
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
            ("data-root", values.get("data-root", running.root), running.root),
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


def _pools(values: dict[str, Any]) -> tuple[str, ...]:
    pools = map(_mapping, _list(values.get("default-address-pools")))
    return tuple(f"{pool.get('base')}#{pool.get('size')}" for pool in pools)


def _mapping(value: Any) -> dict[str, Any]:
    """A person may write anything into daemon.json: what is no object holds nothing."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


@check("docker.live", "The running engine has the configuration that is in daemon.json.")
def live(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    differ = not_live(snapshot, settings)
    if not differ:
        return ok("in force")
    stopped = restart_stops(snapshot)
    waits = f"a restart would stop {', '.join(stopped)}" if stopped else ""
    judge = warn if settings.docker_restart == "never" else fail
    return judge(
        "in force",
        f"not in force: {', '.join(differ)}",
        evidence=waits,
        fix='systemctl restart docker, or docker_restart="always"' if stopped else AGAIN,
    )


@check("docker.memory", "Containers can use `docker_min_memory_gb` of RAM and swap.")
def memory(snapshot: Snapshot, settings: Settings) -> Verdict:
    usable = snapshot.memory.usable
    expected = f"at least {settings.docker_min_memory_gb:g} GB"
    if usable >= settings.docker_min_memory_gb * GB * (1 - RESERVED_SHARE):
        return ok(format_size(usable), expected=expected)
    limit = snapshot.memory.limit
    because = f"a control group limits it to {format_size(limit)}" if limit else ""
    return fail(
        expected,
        format_size(usable),
        evidence=because,
        fix="raise the limit" if limit else "raise swap_size_gb, or use a larger machine",
    )


@check("docker.swap_accounting", "The kernel can limit the swap of a container.")
def swap_accounting(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    complaints = [w for w in snapshot.docker.engine.warnings if "swap limit" in w]
    if not complaints:
        return ok(f"cgroup v{snapshot.docker.engine.cgroup_version or '?'}")
    return warn(
        "supported",
        complaints[0],
        fix="boot with cgroup_enable=memory swapaccount=1, or with cgroup v2",
    )
