"""The containers of a release: their number, health, and restarts."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.snapshot.apps_details import WantedService
from gpuhost.snapshot.containers import Described

# "restarting": app.NAME.restarts judges it.
AT_WORK = ("running", "restarting")
# An app that waits for its database may exit once or twice.
LOOP = 3
LATELY_S = 7 * 86400
# After a boot the engine starts containers in any order: some exit while they wait for others.
IN_NO_ORDER_S = 600
# It starts them before it is ready: by this much, if its start time is not known.
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
    wrong = [line for name, wants in services.items() for line in _wrong(name, wants, existing)]
    total = sum(one.count for one in services.values() if not one.ends)
    if wrong:
        return fail(f"{total} containers running", "; ".join(wrong), fix=app.again)
    others = [one.name for one in existing if one.service not in services and one.state in AT_WORK]
    if others:
        return warn(
            "only what the release starts",
            f"{', '.join(others)} of its project, which the release does not start",
            fix=f"docker rm -f {' '.join(others)} if it is not needed",
        )
    return ok(f"{total} containers running")


def _wrong(name: str, wants: WantedService, existing: tuple[Described, ...]) -> Iterator[str]:
    own = [one for one in existing if one.service == name]
    for one in own:
        is_done = wants.ends and one.state in ("exited", "created") and one.exit_code == 0
        if one.state not in AT_WORK and not is_done:
            yield f"{one.name} is {one.state}{_status(one)}"
    if not wants.ends and len(own) != wants.count:
        yield f"{name}: {len(own)} containers, not {wants.count}"


def _status(one: Described) -> str:
    return f" ({one.exit_code})" if one.state in ("exited", "dead") else ""


@deployed_check("health", "Every container with a health check is healthy, or still loading.")
def health(app: DeployedApp) -> Verdict:
    asked = [one for one, _ in app.running if one.health]
    if not asked:
        return skip("no running container has a health check")
    limit = app.details.start_s or LOADING_S
    sick = [one for one in asked if one.health != "healthy"]
    wrong = [one for one in sick if app.since(one.started) > limit]
    if wrong:
        names = ", ".join(f"{one.name} is {one.health}" for one in wrong)
        return fail("healthy", names, fix=f"docker logs {wrong[0].name} says why")
    loading = [one.name for one in sick]
    return ok(f"loading: {', '.join(loading)}" if loading else f"{len(asked)} healthy")


@deployed_check("restarts", "The engine did not restart a container in the last 7 days.")
def restarts(app: DeployedApp) -> Verdict:
    again = [one for one in _of_services(app) if _restarted(one, app)]
    looping = [one for one in again if one.restarts >= LOOP or not one.running]
    if not again:
        return ok("none")
    actual = ", ".join(f"{one.name} {one.restarts} times" for one in again)
    judge = fail if looping else warn
    name = (looping or again)[0].name
    fix = f"docker logs {name} says why; docker restart {name} resets the counter"
    return judge("none restarted", f"restarted: {actual}", fix=fix)


def _restarted(one: Described, app: DeployedApp) -> bool:
    """Whether it counts: not at a boot, and not long ago."""
    settled = max(IN_NO_ORDER_S, app.details.start_s)
    if one.state == "restarting":
        return app.since(app.snapshot.docker.service.started) > settled
    if one.restarts == 0 or _came_with_the_engine(one, app, settled):
        return False
    return app.since(one.started) <= LATELY_S


def _came_with_the_engine(one: Described, app: DeployedApp, settled: int) -> bool:
    """Whether its last start was at the start of the engine."""
    engine = app.snapshot.docker.service
    if engine.started is None or one.started is None:
        return False
    began = engine.started - UNREADY_S if engine.began is None else engine.began
    return began <= one.started <= engine.started + settled


@deployed_check(
    "oom", "The kernel did not kill a process of its containers because memory ran out."
)
def oom(app: DeployedApp) -> Verdict:
    killed = [one.name for one in _of_services(app) if one.oom_killed]
    if not killed:
        return ok("none was killed")
    return fail(
        "none was killed for lack of memory",
        f"out of memory: {', '.join(killed)}",
        fix="raise x-gpuhost.resources, or reduce its memory use; docker restart resets this",
    )


def _of_services(app: DeployedApp) -> list[Described]:
    services = app.details.services
    return [one for one in app.containers if one.service in services]
