"""The container engine: installed from the declared source, configured, and running."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.checks.repository import repository_verdict
from gpuhost.checks.unreachable import DOCKER, fix_for
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.sizes import GB, format_size
from gpuhost.plans.docker_addresses import cuts_login_off
from gpuhost.plans.docker_packages import (
    MIN_COMPOSE,
    conflicting_packages,
    missing_packages,
    packages_of,
    repository,
    version,
)
from gpuhost.plans.docker_replacing import refusal, stopped
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.units import CONTAINERD, ENGINE, ENGINE_SOCKET

# Its files have no section [Install]: it cannot be enabled. With --root=/ systemd does not reload.
START_STATIC = f"systemctl add-wants --root=/ multi-user.target {ENGINE}"
# docker/cli: the user's own ~/.docker and /usr/local go before the files of packages.
OF_PACKAGES = ("/usr/libexec/docker/cli-plugins/", "/usr/lib/docker/cli-plugins/")
# As for RAM: firmware and the kernel reserve a part.
RESERVED_SHARE = 0.06


@check(
    "docker.repository", "apt has Docker's repository of `docker_mirror`, with the declared key."
)
def apt_repository(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.docker_source != "docker-ce":
        return skip(f'docker_source is "{settings.docker_source}"')
    repo = repository(settings, snapshot.system)
    return repository_verdict(repo, snapshot, settings, DOCKER)


def _install_fix(snapshot: Snapshot, settings: Settings) -> str:
    """How to get the packages: some networks cannot reach Docker's archive."""
    if cut := cuts_login_off(snapshot, settings):
        return cut
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
    if conflicting or absent:
        reason = refusal(snapshot, settings)
        stops = stopped(snapshot, settings)
        return fail(
            expected,
            f"{' '.join(conflicting)} installed"
            if conflicting
            else f"not installed: {' '.join(absent)}",
            evidence=f"it would stop {', '.join(stops)}" if stops else "",
            fix=_replacing(conflicting, stops)
            if reason and not settings.adopt
            else AGAIN
            if conflicting
            else _install_fix(snapshot, settings),
        )
    main = packages_of(settings, snapshot.system)[0]
    return ok(f"{main} {snapshot.docker.packages[main]}")


def _replacing(conflicting: list[str], stops: list[str]) -> str:
    what = f"replace {' '.join(conflicting)}" if conflicting else "install beside another engine"
    effect = f" and stop {', '.join(stops)}" if stops else ""
    return f'set adopt=True to {what}{effect}, or docker_source="present" to keep it'


@check("docker.engine", "The engine runs, answers, and starts at boot.")
def engine(snapshot: Snapshot, settings: Settings) -> Verdict:
    docker = snapshot.docker
    units = [snapshot.units.declared.get(name) for name in (ENGINE, ENGINE_SOCKET, CONTAINERD)]
    masked = [unit.name for unit in units if unit and unit.masked]
    if masked:
        state = "running, but" if docker.engine else "not running:"
        return fail("can be started", f"{state} {', '.join(masked)} masked", fix=AGAIN)
    if docker.service.refused:
        return fail(
            "can be started",
            f"systemd refuses {ENGINE}: a mistake in its files",
            fix=f"systemd-analyze verify {ENGINE}; correct it, then systemctl daemon-reload",
        )
    if docker.engine is None:
        fix = "journalctl -u docker -n 50"
        if docker.is_stuck:
            fix = f"systemctl restart docker; {fix}"
        return fail(
            "running",
            docker.engine_complaint,
            evidence=docker.last_words,
            fix=fix if docker.service.loaded else _install_fix(snapshot, settings),
        )
    if not docker.service.enabled:
        by_socket = (
            f": {ENGINE_SOCKET} starts it when somebody asks" if docker.socket.enabled else ""
        )
        fix = START_STATIC if docker.service.static else "systemctl enable docker"
        return fail("starts at boot", f"does not start at boot{by_socket}", fix=fix)
    return ok(f"running, {docker.engine.version}")


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
    path = snapshot.docker.engine.plugin_paths.get(name, "")
    hides = bool(path) and not path.startswith(OF_PACKAGES)
    fix = 'set docker_source="docker-ce", or upgrade the plugin'
    if hides:
        fix = f"remove {quote(path)}: the client takes it, and not the file of the package"
    if error := snapshot.docker.engine.plugin_errors.get(name):
        return fail(expected, f"{path} cannot be used", evidence=error, fix=fix)
    if version(installed) < minimum:
        return fail(expected, f"{installed} ({path})" if hides else installed, fix=fix)
    return ok(installed, expected=expected)


@check("docker.memory", "Containers can use `docker_min_memory_gb` of RAM and swap.")
def memory(snapshot: Snapshot, settings: Settings) -> Verdict:
    usable = snapshot.memory.usable
    expected = f"at least {settings.docker_min_memory_gb:g} GB"
    if usable >= settings.docker_min_memory_gb * GB * (1 - RESERVED_SHARE):
        return ok(format_size(usable), expected=expected)
    limit, huge = snapshot.memory.limit, snapshot.memory.huge
    cause = f"a control group limits it to {format_size(limit)}" if limit else ""
    if huge and not limit:
        cause = f"{format_size(huge)} are kept for huge pages (vm.nr_hugepages)"
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
