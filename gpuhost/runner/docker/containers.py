"""The containers of an app as they are now: running, loading, or broken and why."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from gpuhost.runner.docker.compose import ask, services_to_start
from gpuhost.runner.docker.images import OURS
from gpuhost.runner.lib.commands import run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.container import Before, Container, from_inspect
from gpuhost.runner.state.release import Release

# Of each container, where a line is looked for.
LINES = 200
# Some versions of Compose clear a line before each of a log, terminal or none.
TERMINAL_CODE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def states(release: Release) -> tuple[Container, ...]:
    """Every container of the project, also those that ended, and those of other profiles."""
    containers = _described(release, _docker(release, *_listing(release)).split())
    return tuple(container for container in containers if not container.is_run)


def everything(release: Release) -> tuple[Container, ...]:
    """Those too that were run for one command. Raises Failure where the engine does not say."""
    words, asked = ("docker", *_listing(release)), "docker ps"
    ids = run(release.log, *words, seconds=30, what=asked, quiet=True).split()
    containers = _described(release, ids)
    if ids and not containers:
        raise Failure("docker inspect does not say what there is")
    return containers


def is_ours(release: Release, container: Container) -> bool:
    """Whether a release has made it: what a person started has no image that was pinned."""
    return container.image.startswith(f"{OURS}/{release.plan.app}/")


def _listing(release: Release) -> tuple[str, ...]:
    project = f"label=com.docker.compose.project={release.plan.project}"
    return ("ps", "-aq", "--no-trunc", "--filter", project)


def _described(release: Release, ids: Sequence[str]) -> tuple[Container, ...]:
    printed = _docker(release, "inspect", *ids) if ids else ""
    containers = map(from_inspect, json.loads(printed or "[]"))
    return tuple(sorted(containers, key=lambda container: container.name))


def note(release: Release) -> tuple[Container, ...]:
    """The containers before a start; they are judged by what they do after it."""
    containers = states(release)
    now = datetime.now(timezone.utc).isoformat()
    release.before = Before(now, {container.id: container for container in containers})
    return containers


def own(release: Release) -> tuple[Container, ...]:
    """Those of the services that this release starts, by what they did since then."""
    services = services_to_start(release)
    containers = (container for container in states(release) if container.service in services)
    return tuple(map(release.before.since, containers))


def find_trouble(release: Release, containers: Sequence[Container] | None = None) -> str | None:
    """Why the app will not come up, or None.

    + containers: its own, if they were just looked at
    """
    for container in own(release) if containers is None else containers:
        if trouble := _as_it_ended(release, container).trouble:
            return trouble
    said = fatal_line(release)
    return f"its log says: {said}" if said else None


def new_containers(release: Release) -> tuple[Container, ...]:
    """Its own that were not there when the start began: Compose has stopped none of them."""
    return tuple(one for one in own(release) if one.id not in release.before.by_id)


def looping(release: Release) -> Container | None:
    """One of those that has shown already that it will not come up."""
    ended = (_as_it_ended(release, container) for container in new_containers(release))
    return next((container for container in ended if container.loop), None)


def _as_it_ended(release: Release, container: Container) -> Container:
    """A container that runs again has forgotten how it ended; the engine's events have not."""
    if not container.restarts or container.oom_killed:
        return container
    since = release.before.at if container.id in release.before.by_id else container.created
    words = ("--since", since, "--until", str(int(time.time()) + 1))
    filters = (f"container={container.name}", "event=oom", "event=die")
    asked = [word for one in filters for word in ("--filter", one)]
    shown = '{{.Action}} {{index .Actor.Attributes "exitCode"}}'
    lines = _docker(release, "events", *words, *asked, "--format", shown).splitlines()
    codes = [line.split()[1] for line in lines if re.fullmatch(r"die \d+", line)]
    return replace(
        container,
        oom_killed=any(line.startswith("oom") for line in lines),
        exit_code=int(codes[-1]) if codes else container.exit_code,
    )


def fatal_line(release: Release) -> str | None:
    """The first log line that the app file calls fatal."""
    patterns = release.plan.verify.fatal
    return (
        _first(_said(release, LINES, *services_to_start(release)), patterns) if patterns else None
    )


def loading_line(release: Release) -> str | None:
    """The last log line that says that the app is still loading."""
    patterns = release.plan.verify.loading
    lines = _said(release, LINES, *services_to_start(release)) if patterns else ()
    return _first(reversed(lines), patterns)


def logs(release: Release, lines: int = 30) -> tuple[str, ...]:
    """The last lines of the app's own logs, secrets masked.

    What is broken has the first of them; the others share what is left.
    """
    services = services_to_start(release)
    bad = {one.service for one in own(release) if one.trouble or not one.is_up}
    told = _shared([_said(release, lines, name) for name in services if name in bad], lines)
    others = [_said(release, lines, name) for name in services if name not in bad]
    return told + _shared(others, lines - len(told))


def _said(release: Release, lines: int, *services: str) -> tuple[str, ...]:
    """The last so many lines of each container of these services, since the start began."""
    since = ("--since", release.before.at) if release.before.at else ()
    words = ("--no-color", "--tail", str(lines), *since, *services)
    outcome = ask(release, "logs", *words)
    return tuple(release.log.masked(TERMINAL_CODE.sub("", outcome.out)).splitlines())


def _shared(said: Sequence[tuple[str, ...]], room: int) -> tuple[str, ...]:
    """The last lines of each; the room that one does not need is the others'."""
    shares = dict.fromkeys(range(len(said)), 0)
    shortest_first = sorted(shares, key=lambda each: len(said[each]))
    for done, each in enumerate(shortest_first):
        shares[each] = min(len(said[each]), room // (len(said) - done))
        room -= shares[each]
    return tuple(
        line for each, lines in enumerate(said) for line in lines[len(lines) - shares[each] :]
    )


def _first(lines: Iterable[str], patterns: tuple[str, ...]) -> str | None:
    expressions = [re.compile(pattern) for pattern in patterns]
    return next((line for line in lines if any(one.search(line) for one in expressions)), None)


def _docker(release: Release, *words: str) -> str:
    return try_run(release.log, "docker", *words, seconds=30, quiet=True).out
