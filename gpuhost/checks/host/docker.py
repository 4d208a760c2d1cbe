"""The container engine: installed from the declared source, configured, and running."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.checks.unreachable import DOCKER, fix_for
from gpuhost.domain.docker import daemon_json
from gpuhost.domain.sizes import GB, format_size
from gpuhost.plans.apt_archives import clashing
from gpuhost.plans.docker import keys_for, keys_not_live, merged_config, restart_stops
from gpuhost.plans.docker_packages import (
    MIN_COMPOSE,
    conflicting_packages,
    missing_packages,
    packages_of,
    repository,
    version,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON

AGAIN = "run the deploy again"
# As for RAM: firmware and the kernel reserve a part.
RESERVED_SHARE = 0.06


@check(
    "docker.repository", "apt has Docker's repository of `docker_mirror`, with the declared key."
)
def apt_repository(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.docker_source != "docker-ce":
        return skip(f'docker_source is "{settings.docker_source}"')
    repo = repository(settings, snapshot.system)
    if snapshot.docker.sources != repo.sources:
        state = "differs" if snapshot.docker.sources else "does not exist"
        fix = _install_fix(snapshot, settings)
        return fail(repo.uri, f"{repo.sources_path} {state}", fix=fix)
    if snapshot.docker.key is None:
        fix = _install_fix(snapshot, settings)
        return fail(f"the key {repo.fingerprint}", f"no {repo.key_path}", fix=fix)
    refusal = repo.refused_key(snapshot.docker.key.encode())
    if refusal:
        return fail(f"the key {repo.fingerprint}", refusal, fix=f"rm {repo.key_path}; {AGAIN}")
    if others := clashing(snapshot, repo):
        return fail("one source", f"also defined in {', '.join(map(str, others))}", fix=AGAIN)
    return ok(repo.uri)


def _install_fix(snapshot: Snapshot, settings: Settings) -> str:
    """How to get the packages: some networks cannot reach Docker's archive."""
    if settings.docker_source != "docker-ce":
        return AGAIN
    try:
        return fix_for(repository(settings, snapshot.system), snapshot, DOCKER)
    except NotRead:
        # Without it the engine is still known to be missing: only the fix is less exact.
        return AGAIN


@check("docker.packages", "The engine, compose and buildx come from `docker_source`.")
def packages(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.docker_source == "present":
        return skip('docker_source is "present"')
    absent, conflicting = (
        missing_packages(snapshot, settings),
        conflicting_packages(snapshot, settings),
    )
    expected = " ".join(packages_of(settings, snapshot.system))
    if conflicting:
        return fail(
            expected, f"{' '.join(conflicting)} installed", fix=_replacing(snapshot, conflicting)
        )
    if absent:
        return fail(
            expected, f"not installed: {' '.join(absent)}", fix=_install_fix(snapshot, settings)
        )
    main = packages_of(settings, snapshot.system)[0]
    return ok(f"{main} {snapshot.docker.packages[main]}")


def _replacing(snapshot: Snapshot, conflicting: list[str]) -> str:
    names = [container.name for container in snapshot.docker.containers]
    if names:
        return (
            f"set adopt=True to replace {' '.join(conflicting)} and stop {', '.join(names)}, "
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
            fix="journalctl -u docker -n 50"
            if service.loaded
            else _install_fix(snapshot, settings),
        )
    if not service.enabled:
        return fail("starts at boot", "does not start at boot", fix="systemctl enable docker")
    return ok(f"running, {snapshot.docker.engine.version}")


@check("docker.compose", "The compose plugin is at least 2.24.4, which supports `!override`.")
def compose(snapshot: Snapshot, settings: Settings) -> Verdict:
    return _plugin(snapshot, "compose", MIN_COMPOSE)


@check("docker.buildx", "The buildx plugin is installed: images cannot be built without it.")
def buildx(snapshot: Snapshot, settings: Settings) -> Verdict:
    return _plugin(snapshot, "buildx", ())


def _plugin(snapshot: Snapshot, name: str, minimum: tuple[int, ...]) -> Verdict:
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    installed = snapshot.docker.engine.plugins.get(name)
    floor = ".".join(map(str, minimum))
    expected = f"at least {floor}" if minimum else "installed"
    if installed is None:
        return fail(expected, "not installed", fix='set docker_source="docker-ce"')
    if version(installed) < minimum:
        return fail(expected, installed, fix='set docker_source="docker-ce", or upgrade the plugin')
    return ok(installed, expected=expected)


@check("docker.config", "daemon.json has the declared keys; other keys are kept.")
def config(snapshot: Snapshot, settings: Settings) -> Verdict:
    current = snapshot.docker.config
    if current.values is None:
        return fail(
            "a JSON object",
            f"{DAEMON_JSON} is not a JSON object",
            fix=f"correct or move {DAEMON_JSON}",
        )
    merged = merged_config(snapshot, settings)
    if merged.conflicts:
        return fail(
            "as declared",
            f"not set by gpuhost: {'; '.join(merged.conflicts)}",
            fix="set adopt=True to replace it, or declare the same value",
        )
    if merged.values != current.values:
        different = daemon_json.differences(current.values, keys_for(snapshot, settings))
        stale = sorted(set(current.owned) - set(merged.owned))
        return fail("as declared", f"differs: {', '.join(different + stale)}", fix=AGAIN)
    return ok(f"{len(merged.owned)} keys as declared")


@check("docker.live", "The running engine uses the configuration in daemon.json.")
def live(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    differ = keys_not_live(snapshot, settings)
    if not differ:
        return ok("in force")
    stopped = restart_stops(snapshot)
    effect = f"a restart would stop {', '.join(stopped)}" if stopped else ""
    judge = warn if settings.docker_restart == "never" else fail
    return judge(
        "in force",
        f"not in force: {', '.join(differ)}",
        evidence=effect,
        fix='systemctl restart docker, or docker_restart="always"' if stopped else AGAIN,
    )


@check("docker.memory", "Containers can use `docker_min_memory_gb` of RAM and swap.")
def memory(snapshot: Snapshot, settings: Settings) -> Verdict:
    usable = snapshot.memory.usable
    expected = f"at least {settings.docker_min_memory_gb:g} GB"
    if usable >= settings.docker_min_memory_gb * GB * (1 - RESERVED_SHARE):
        return ok(format_size(usable), expected=expected)
    limit = snapshot.memory.limit
    cause = f"a control group limits it to {format_size(limit)}" if limit else ""
    return fail(
        expected,
        format_size(usable),
        evidence=cause,
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
