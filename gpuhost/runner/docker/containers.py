"""The containers of an app: running, loading, or broken and why."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from gpuhost.runner.docker.app_log import last_lines
from gpuhost.runner.docker.compose import config, services_to_start
from gpuhost.runner.docker.images import OURS
from gpuhost.runner.docker.resolved_model import extension
from gpuhost.runner.lib.commands import run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.container import Before, Container, from_inspect
from gpuhost.runner.state.health import epoch
from gpuhost.runner.state.release import Release

# Of the app's logs, after a failure.
SHOWN = 30
# Log lines of each container that are searched.
LINES = 200
# Characters of a line that are searched: for some patterns the time grows with their square.
LONGEST_LINE = 2000
# For one answer of docker.
ANSWER_S = 30


def project_containers(release: Release) -> tuple[Container, ...]:
    """Every container of the project, also exited ones, and those of other profiles.

    Empty while the engine does not answer. Raises Failure for an answer that is too large.
    """
    containers = _inspect(release, _docker(release, *_listing(release)).split())
    return tuple(each for each in containers if not each.is_run)


def all_containers(release: Release) -> tuple[Container, ...]:
    """Those of `docker compose run` too. Raises Failure if Docker does not answer."""
    words = ("docker", *_listing(release))
    ids = run(release.log, *words, seconds=ANSWER_S, what="docker ps", quiet=True).split()
    containers = _inspect(release, ids)
    if ids and not containers:
        raise Failure("docker inspect printed nothing")
    return containers


def is_ours(release: Release, container: Container) -> bool:
    """Whether a release created it: only these have a pinned image."""
    return container.image.startswith(f"{OURS}/{release.plan.app}/")


def _listing(release: Release) -> tuple[str, ...]:
    project = f"label=com.docker.compose.project={release.plan.project}"
    return ("ps", "-aq", "--no-trunc", "--filter", project)


def _inspect(release: Release, ids: Sequence[str]) -> tuple[Container, ...]:
    containers = map(from_inspect, _described(release, ids) if ids else ())
    return tuple(sorted(containers, key=lambda container: container.name))


def _described(release: Release, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Not of a container that is gone since it was listed. Raises Failure."""
    words = ("docker", "inspect", *ids)
    outcome = try_run(release.log, *words, seconds=ANSWER_S, quiet=True, large=True)
    if outcome.is_cut and len(ids) > 1:
        half = len(ids) // 2
        return [*_described(release, ids[:half]), *_described(release, ids[half:])]
    if outcome.is_cut:
        outcome.require_ok("docker inspect", ANSWER_S)
    try:
        described: list[dict[str, Any]] = json.loads(outcome.out or "[]")
    except ValueError:
        raise Failure("docker inspect printed no JSON", output=outcome.tail) from None
    return described


def note_existing(release: Release) -> tuple[Container, ...]:
    """Remember the containers before a start: only what they do after it counts.

    Raises Failure if Docker does not answer: all of them would be new.
    """
    containers = tuple(each for each in all_containers(release) if not each.is_run)
    time_text = datetime.now(timezone.utc).isoformat()
    release.before = Before(time_text, {container.id: container for container in containers})
    return containers


def release_containers(release: Release) -> tuple[Container, ...]:
    """Containers of the services that this release starts, with what they did since the start."""
    services = services_to_start(release)
    must_end = extension(config(release)).one_shots
    containers = (
        replace(container, must_end=container.service in must_end)
        for container in project_containers(release)
        if container.service in services
    )
    return tuple(map(release.before.since, containers))


def find_trouble(release: Release, containers: Sequence[Container] | None = None) -> str | None:
    """Why the app will not start, or None.

    + containers: its containers, if they were just read
    """
    for container in release_containers(release) if containers is None else containers:
        if trouble := _with_exit(release, container).trouble:
            return trouble
    line = fatal_line(release)
    return f"fatal line in its log: {line}" if line else None


def new_containers(release: Release) -> tuple[Container, ...]:
    """Its containers that did not exist when the start began: Compose has not stopped them."""
    return tuple(c for c in release_containers(release) if c.id not in release.before.by_id)


def find_looping(release: Release) -> Container | None:
    """A new container with a restart loop or out of memory."""
    containers = (_with_exit(release, container) for container in new_containers(release))
    return next((container for container in containers if container.loop), None)


def _with_exit(release: Release, container: Container) -> Container:
    """Add the last exit of a restarted container, which only the events of the engine have."""
    if not container.restarts or container.oom_killed:
        return container
    since = release.before.at if container.id in release.before.by_id else container.created
    until = int(time.time()) + 1
    if epoch(since) > until:
        # The clock was set back: the engine has no such period.
        return container
    words = ("--since", since, "--until", str(until))
    filters = (f"container={container.name}", "event=oom", "event=die")
    options = [word for text in filters for word in ("--filter", text)]
    shown = '{{.Action}} {{index .Actor.Attributes "exitCode"}}'
    lines = _docker(release, "events", *words, *options, "--format", shown).splitlines()
    codes = [line.split()[1] for line in lines if re.fullmatch(r"die \d+", line)]
    return replace(
        container,
        oom_killed=any(line.startswith("oom") for line in lines),
        exit_code=int(codes[-1]) if codes else container.exit_code,
    )


def fatal_line(release: Release) -> str | None:
    """The first log line that matches verify.fatal."""
    patterns = release.plan.verify.fatal
    return (
        _first_match(_log_lines(release, LINES, *services_to_start(release)), patterns)
        if patterns
        else None
    )


def first_fatal(release: Release, lines: Iterable[str]) -> str | None:
    """The first of these lines that matches verify.fatal."""
    return _first_match(lines, release.plan.verify.fatal)


def loading_line(release: Release) -> str | None:
    """The last log line that matches verify.loading."""
    patterns = release.plan.verify.loading
    lines = _log_lines(release, LINES, *services_to_start(release)) if patterns else ()
    return _first_match(reversed(lines), patterns)


def logs(release: Release) -> tuple[str, ...]:
    """The last lines of the app's logs, secrets masked.

    Broken services get as many lines as they have; the others share the rest.
    """
    services = services_to_start(release)
    bad = {c.service for c in release_containers(release) if c.trouble or not c.is_up}
    broken = [_log_lines(release, SHOWN, name) for name in services if name in bad]
    first = _shared(broken, SHOWN)
    others = [_log_lines(release, SHOWN, name) for name in services if name not in bad]
    return first + _shared(others, SHOWN - len(first))


def _log_lines(release: Release, lines: int, *services: str) -> tuple[str, ...]:
    """The last lines of each container of these services, since the start began."""
    found = last_lines(release, lines, release.before.at, *services)
    return tuple(release.log.masked_line(line, LONGEST_LINE) for line in found)


def _shared(logs: Sequence[tuple[str, ...]], limit: int) -> tuple[str, ...]:
    """The last lines of each log, `limit` together; a short log leaves its share to the others."""
    shares = dict.fromkeys(range(len(logs)), 0)
    shortest_first = sorted(shares, key=lambda each: len(logs[each]))
    for done, each in enumerate(shortest_first):
        shares[each] = min(len(logs[each]), limit // (len(logs) - done))
        limit -= shares[each]
    return tuple(
        line for each, lines in enumerate(logs) for line in lines[len(lines) - shares[each] :]
    )


def _first_match(lines: Iterable[str], patterns: tuple[str, ...]) -> str | None:
    expressions = [re.compile(pattern) for pattern in patterns]
    return next((line for line in lines if any(e.search(line) for e in expressions)), None)


def _docker(release: Release, *words: str) -> str:
    return try_run(release.log, "docker", *words, seconds=ANSWER_S, quiet=True).out
