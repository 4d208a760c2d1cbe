"""The containers of a release: as many as wanted, healthy, and not started again and again."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.snapshot.apps_details import WantedService
from gpuhost.snapshot.containers import Described

# "restarting": app.NAME.restarts speaks of it.
AT_WORK = ("running", "restarting")
# An app that waits for its database may exit once or twice.
LOOP = 3
LATELY_S = 7 * 86400
# After a boot the engine starts containers in no order: those that wait for others exit meanwhile.
IN_NO_ORDER_S = 600
# It starts them before it says that it is ready; so long before, if nobody knows when it began.
UNREADY_S = 120
LOADING_S = 300


@deployed_check(
    "containers", "As many containers run of each service as the release wants.", settles=True
)
def containers(app: DeployedApp) -> Verdict:
    if not app.details.kept:
        return skip(OLDER)
    wanted, there = app.details.services, app.containers
    wrong = [line for name, wants in wanted.items() for line in _wrong(name, wants, there)]
    total = sum(one.count for one in wanted.values() if not one.ends)
    if wrong:
        return fail(f"{total} containers at work", "; ".join(wrong), fix=app.again)
    others = [one.name for one in there if one.service not in wanted and one.state in AT_WORK]
    if others:
        return warn(
            "only what the release starts",
            f"{', '.join(others)} of its project, which the release does not start",
            fix=f"docker rm -f {' '.join(others)} if nobody needs it",
        )
    return ok(f"{total} containers at work")


def _wrong(name: str, wants: WantedService, there: tuple[Described, ...]) -> Iterator[str]:
    own = [one for one in there if one.service == name]
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
        return skip("no container at work has a health check")
    limit = app.details.start_s or LOADING_S
    sick = [one for one in asked if one.health != "healthy"]
    wrong = [one for one in sick if app.since(one.started) > limit]
    if wrong:
        names = ", ".join(f"{one.name} is {one.health}" for one in wrong)
        return fail("healthy", names, fix=f"docker logs {wrong[0].name} tells why")
    loading = [one.name for one in sick]
    return ok(f"loading: {', '.join(loading)}" if loading else f"{len(asked)} healthy")


@deployed_check("restarts", "The engine did not have to start a container again in these days.")
def restarts(app: DeployedApp) -> Verdict:
    again = [one for one in _of_services(app) if _restarted(one, app)]
    looping = [one for one in again if one.restarts >= LOOP or not one.running]
    if not again:
        return ok("none")
    said = ", ".join(f"{one.name} {one.restarts} times" for one in again)
    judge = fail if looping else warn
    name = (looping or again)[0].name
    fix = f"docker logs {name} tells why; docker restart {name} begins to count anew"
    return judge("none started again", f"started again: {said}", fix=fix)


def _restarted(one: Described, app: DeployedApp) -> bool:
    """Whether it has to be told: not of a boot, and not of long ago."""
    settled = max(IN_NO_ORDER_S, app.details.start_s)
    if one.state == "restarting":
        return app.since(app.snapshot.docker.service.started) > settled
    if one.restarts == 0 or _came_with_the_engine(one, app, settled):
        return False
    return app.since(one.started) <= LATELY_S


def _came_with_the_engine(one: Described, app: DeployedApp, settled: int) -> bool:
    """Whether it was started last while the engine started all of them."""
    engine = app.snapshot.docker.service
    if engine.started is None or one.started is None:
        return False
    began = engine.started - UNREADY_S if engine.began is None else engine.began
    return began <= one.started <= engine.started + settled


@deployed_check("oom", "The kernel did not end a process of its containers for want of memory.")
def oom(app: DeployedApp) -> Verdict:
    killed = [one.name for one in _of_services(app) if one.oom_killed]
    if not killed:
        return ok("none was ended")
    return fail(
        "none was ended for want of memory",
        f"out of memory: {', '.join(killed)}",
        fix="raise x-gpuhost.resources, or have it take less; docker restart begins anew",
    )


def _of_services(app: DeployedApp) -> list[Described]:
    wanted = app.details.services
    return [one for one in app.containers if one.service in wanted]
