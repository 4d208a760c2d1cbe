"""The containers of an app as they are now: running, loading, or broken and why."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from gpuhost.runner.commands import attempt
from gpuhost.runner.compose import ask
from gpuhost.runner.release import Release

# An app that waits for its database may exit once or twice; more is a loop.
RESTARTS = 3
SIGKILL = 137
# Some versions of Compose clear a line before each of a log, terminal or none.
TERMINAL_CODE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Container:
    """One container, as Docker describes it."""

    name: str
    service: str
    state: str  # running, exited, restarting, created, …
    health: str  # healthy, starting, unhealthy; "" without a health check
    exit_code: int
    restarts: int
    oom_killed: bool
    one_shot: bool  # it is meant to end: Docker does not start it again
    image: str = ""  # as it was named when the container was made
    created: str = ""

    @property
    def is_up(self) -> bool:
        if self.one_shot and self.state == "exited":
            return self.exit_code == 0
        return self.state == "running" and self.health in ("", "healthy")

    @property
    def trouble(self) -> str | None:
        """Why waiting is of no use."""
        if self.oom_killed:
            return f"{self.service}: out of memory, the kernel killed it (OOM)"
        if self.restarts >= RESTARTS:
            return f"{self.service}: restart loop, exit {self.exit_code} each time"
        if self.state in ("exited", "dead") and not (self.one_shot and self.exit_code == 0):
            return f"{self.service}: exited with {self.exit_code}{_meaning(self.exit_code)}"
        return None


def states(release: Release) -> tuple[Container, ...]:
    """Every container of the project, also those that ended."""
    project = f"label=com.docker.compose.project={release.plan.project}"
    found = _docker(release, "ps", "-aq", "--no-trunc", "--filter", project).split()
    if not found:
        return ()
    described = json.loads(_docker(release, "inspect", *found) or "[]")
    containers = (_container(value) for value in described if not _is_run(value))
    return tuple(sorted(containers, key=lambda container: container.name))


def broken(release: Release) -> str | None:
    """Why the app will not come up, or None."""
    for container in states(release):
        if container.restarts and not container.oom_killed:
            container = _as_it_ended(release, container)
        if container.trouble:
            return container.trouble
    said = fatal_line(release)
    return f"its log says: {said}" if said else None


def _as_it_ended(release: Release, container: Container) -> Container:
    """A container that runs again has forgotten how it ended; the engine's events have not."""
    words = ("--since", container.created, "--until", str(int(time.time()) + 1))
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
    return _first(logs(release, 200), patterns) if patterns else None


def loading_line(release: Release) -> str | None:
    """The last log line that says that the app is still loading."""
    patterns = release.plan.verify.loading
    return _first(reversed(logs(release, 200)), patterns) if patterns else None


def logs(release: Release, lines: int = 30) -> tuple[str, ...]:
    """The last lines of the app's own logs, secrets masked."""
    outcome = ask(release, "logs", "--no-color", "--tail", str(lines))
    found = release.log.masked(TERMINAL_CODE.sub("", outcome.out)).splitlines()
    return tuple(found[-lines:])


def _first(lines: Iterable[str], patterns: tuple[str, ...]) -> str | None:
    expressions = [re.compile(pattern) for pattern in patterns]
    return next((line for line in lines if any(one.search(line) for one in expressions)), None)


def _docker(release: Release, *words: str) -> str:
    return attempt(release.log, "docker", *words, seconds=30, quiet=True).out


def _container(value: dict[str, Any]) -> Container:
    state, labels = value["State"], value["Config"].get("Labels") or {}
    policy = value["HostConfig"].get("RestartPolicy") or {}
    return Container(
        name=value["Name"].lstrip("/"),
        service=labels.get("com.docker.compose.service", value["Name"].lstrip("/")),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", "").replace("none", ""),
        exit_code=state["ExitCode"],
        restarts=value.get("RestartCount", 0),
        oom_killed=bool(state.get("OOMKilled")),
        one_shot=policy.get("Name", "no") in ("", "no"),
        created=value.get("Created", ""),
        image=value["Config"].get("Image") or "",
    )


def _is_run(value: dict[str, Any]) -> bool:
    """A migration or a command that somebody runs by hand is not part of the running app."""
    labels = value["Config"].get("Labels") or {}
    return labels.get("com.docker.compose.oneoff") == "True"


def _meaning(code: int) -> str:
    meanings = {SIGKILL: " (killed: out of memory, or stopped by force)", 127: " (not found)"}
    return meanings.get(code, "")
