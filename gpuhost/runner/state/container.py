"""One container: as Docker describes it, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

# An app that waits for its database may exit once or twice; more is a loop.
RESTARTS = 3
SIGKILL = 137
# With these Docker leaves a container alone that has ended well.
ENDING = ("", "no", "on-failure")


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
    one_shot: bool  # it may end: if all went well, Docker does not start it again
    id: str = ""
    image: str = ""  # as it was named when the container was made
    image_id: str = ""
    directory: str = ""  # Compose's project directory
    created: str = ""
    started: str = ""
    is_run: bool = False  # a migration, or a command that somebody runs by hand

    @property
    def is_up(self) -> bool:
        if self.one_shot and self.state == "exited":
            return self.exit_code == 0
        return self.state == "running" and self.health in ("", "healthy")

    @property
    def trouble(self) -> str | None:
        """Why waiting is of no use."""
        if self.state in ("exited", "dead") and not (self.one_shot and self.exit_code == 0):
            return self.loop or f"{self.service}: exited with {_meaning(self.exit_code)}"
        return self.loop

    @property
    def loop(self) -> str | None:
        """What nobody but the container itself has brought about."""
        if self.oom_killed:
            return f"{self.service}: out of memory, the kernel killed it (OOM)"
        if self.restarts >= RESTARTS:
            return f"{self.service}: restart loop, exit {self.exit_code} each time"
        return None


@dataclass(frozen=True)
class Before:
    """The containers that were there when a start began. What they did until then is past."""

    at: str = ""  # as Docker reads it; "": none has begun
    by_id: Mapping[str, Container] = field(default_factory=dict)

    def since(self, now: Container) -> Container:
        """A container as if it had been made then."""
        then = self.by_id.get(now.id)
        if then is None:
            return now
        # Docker counts anew for one that was stopped and started by hand.
        past = then.restarts if then.restarts <= now.restarts else 0
        is_past = then.oom_killed and then.started == now.started
        return replace(now, restarts=now.restarts - past, oom_killed=now.oom_killed and not is_past)


def from_inspect(value: Mapping[str, Any]) -> Container:
    """From what `docker inspect` prints."""
    state, labels = value["State"], value["Config"].get("Labels") or {}
    policy = value["HostConfig"].get("RestartPolicy") or {}
    name = value["Name"].lstrip("/")
    return Container(
        name=name,
        service=labels.get("com.docker.compose.service", name),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", "").replace("none", ""),
        exit_code=state["ExitCode"],
        restarts=value.get("RestartCount", 0),
        oom_killed=bool(state.get("OOMKilled")),
        one_shot=policy.get("Name", "no") in ENDING,
        id=value.get("Id", name),
        image=value["Config"].get("Image") or "",
        image_id=value.get("Image", ""),
        directory=labels.get("com.docker.compose.project.working_dir", ""),
        created=value.get("Created", ""),
        started=state.get("StartedAt", ""),
        is_run=labels.get("com.docker.compose.oneoff") == "True",
    )


def _meaning(code: int) -> str:
    meanings = {SIGKILL: " (killed: out of memory, or stopped by force)", 127: " (not found)"}
    return f"{code}{meanings.get(code, '')}"
