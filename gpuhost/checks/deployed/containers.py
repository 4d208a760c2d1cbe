"""The containers of a release: their number, health, and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import join, quote

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.snapshot.apps_details import ReleasedService
from gpuhost.snapshot.containers import InspectedContainer

# "restarting": app.NAME.restarts reports it.
RUNNING_STATES = ("running", "restarting")
# An app that waits for its database may exit once or twice.
LOOP_RESTARTS = 3
RECENT_S = 7 * 86400
# After a boot the engine starts containers in any order: some exit while they wait for others.
BOOT_ORDER_S = 600
# The engine starts them before it is ready: at most this long before.
UNREADY_S = 120
LOADING_S = 300


@deployed_check(
    "containers",
    "Each service of the release runs in the declared number of containers.",
    settles=True,
)
def containers(app: DeployedApp) -> Verdict:
    if not app.details.kept:
        return skip(OLDER)
    services, existing = app.details.services, app.containers
    faults = [
        fault for name, service in services.items() for fault in _faults(name, service, existing)
    ]
    total = sum(service.count for service in services.values() if not service.ends)
    if faults:
        is_ended = any(fault.endswith("exited (0)") for fault in faults)
        ends = "; if it ends by itself, name it in x-gpuhost.one_shots" if is_ended else ""
        fix = f"{app.release_command}{ends}"
        return fail(f"{total} containers running", "; ".join(faults), fix=fix)
    extra = [
        container.name
        for container in existing
        if container.service not in services and container.state in RUNNING_STATES
    ]
    if extra:
        return warn(
            "only containers of the release",
            f"{', '.join(extra)} of its project, not part of the release",
            fix=f"if it is not needed: docker stop {join(extra)}",
        )
    return ok(f"{total} containers running")


def not_running(app: DeployedApp) -> Iterator[str]:
    """What of the release does not run, also just after the engine's start, and if it is stopped.

    Raises NotRead.
    """
    existing = app.containers
    if not app.details.kept:
        if not any(container.running for container in existing):
            yield "none of its containers runs"
        return
    services = app.details.services
    for name, service in services.items():
        yield from _faults(name, service, existing)
    for container in existing:
        if container.service in services and container.state == "restarting":
            yield f"{container.name} is restarting"


def _faults(
    name: str, service: ReleasedService, existing: tuple[InspectedContainer, ...]
) -> Iterator[str]:
    own = [container for container in existing if container.service == name]
    for container in own:
        is_done = (
            service.ends and container.state in ("exited", "created") and container.exit_code == 0
        )
        if container.state not in RUNNING_STATES and not is_done:
            yield f"{container.name} is {container.state}{_status(container)}"
    if not service.ends and len(own) != service.count:
        yield f"{name}: {len(own)} containers, not {service.count}"


def _status(container: InspectedContainer) -> str:
    return f" ({container.exit_code})" if container.state in ("exited", "dead") else ""


@deployed_check("health", "Every container with a health check is healthy, or still loading.")
def health(app: DeployedApp) -> Verdict:
    checked = [container for container, _ in app.running if container.health]
    if not checked:
        return skip("no running container has a health check")
    limit = app.details.start_s or LOADING_S
    unhealthy = [container for container in checked if container.health != "healthy"]
    faults = [container for container in unhealthy if app.since(container.started) > limit]
    if faults:
        names = ", ".join(f"{container.name} is {container.health}" for container in faults)
        return fail("healthy", names, fix=f"docker logs {quote(faults[0].name)} says why")
    loading = [container.name for container in unhealthy]
    return ok(f"loading: {', '.join(loading)}" if loading else f"{len(checked)} healthy")


@deployed_check("restarts", "The engine did not restart a container in the last 7 days.")
def restarts(app: DeployedApp) -> Verdict:
    restarted = [container for container in _of_services(app) if _restarted(container, app)]
    looping = [
        container
        for container in restarted
        if container.restarts >= LOOP_RESTARTS or not container.running
    ]
    if not restarted:
        return ok("none")
    actual = ", ".join(f"{container.name} {container.restarts} times" for container in restarted)
    judge = fail if looping else warn
    name = quote((looping or restarted)[0].name)
    fix = f"docker logs {name} says why; docker restart {name} resets the counter"
    return judge("none restarted", f"restarted: {actual}", fix=fix)


def _restarted(container: InspectedContainer, app: DeployedApp) -> bool:
    """Whether its restarts count: those at a boot, or long ago, do not."""
    settled_s = max(BOOT_ORDER_S, app.details.start_s)
    if container.state == "restarting":
        return app.since(app.snapshot.docker.service.started) > settled_s
    if container.restarts == 0 or _started_with_engine(container, app, settled_s):
        return False
    return app.since(container.started) <= RECENT_S


def _started_with_engine(container: InspectedContainer, app: DeployedApp, settled_s: int) -> bool:
    """Whether its last start was at the start of the engine."""
    engine = app.snapshot.docker.service
    if engine.started is None or container.started is None:
        return False
    began = engine.started - UNREADY_S if engine.began is None else engine.began
    return began <= container.started <= engine.started + settled_s


@deployed_check(
    "oom", "The kernel did not kill a process of its containers because memory ran out."
)
def oom(app: DeployedApp) -> Verdict:
    killed = [container.name for container in _of_services(app) if container.oom_killed]
    if not killed:
        return ok("none was killed")
    return fail(
        "no process killed for lack of memory",
        f"out of memory: {', '.join(killed)}",
        fix="raise x-gpuhost.resources, or reduce its memory use; docker restart resets this",
    )


def _of_services(app: DeployedApp) -> list[InspectedContainer]:
    services = app.details.services
    return [container for container in app.containers if container.service in services]
