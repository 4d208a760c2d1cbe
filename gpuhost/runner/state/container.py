"""A container as `docker inspect` describes it, and whether it is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpuhost.runner.contract import card_use, made_with
from gpuhost.runner.state.health import HealthCheck, read_health_check

# Fewer are normal: an app that waits for its database may exit once or twice.
RESTARTS = 3
SIGKILL = 137
# With these restart policies Docker does not start a container again after exit 0.
ENDING = ("", "no", "on-failure")


@dataclass(frozen=True)
class Container:
    """A container."""

    name: str
    service: str
    state: str  # running, exited, restarting, created, …
    health: str  # healthy, starting, unhealthy; "" without a health check
    exit_code: int
    restarts: int
    oom_killed: bool
    one_shot: bool  # after exit 0 Docker does not start it again
    id: str = ""
    image: str = ""  # its name at the creation of the container
    image_id: str = ""
    directory: str = ""  # Compose's project directory
    created: str = ""
    started: str = ""
    is_run: bool = False  # made by `docker compose run`: a migration, or a command of a person
    health_check: HealthCheck | None = None
    ports: tuple[int, ...] = ()  # on the host
    must_end: bool = False  # the app is up only after it has ended
    serves: bool = False  # it has a port, published or not, or a health check
    card_use: str = ""  # how it was given NVIDIA cards; "": it was not
    pid: int = 0  # of its first process, on the host
    made_with: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_up(self) -> bool:
        if self.one_shot and self.state == "exited":
            return self.exit_code == 0
        if self.must_end:
            return False
        return self.state == "running" and self.health in ("", "healthy")

    @property
    def trouble(self) -> str | None:
        """Why it will not become healthy, or None."""
        if self.state in ("exited", "dead") and not (self.one_shot and self.exit_code == 0):
            return self.loop or f"{self.service}: exited with {_exit_text(self.exit_code)}"
        return self.loop

    @property
    def loop(self) -> str | None:
        """A restart loop or lack of memory, or None. A stop by hand is neither."""
        if self.oom_killed:
            return f"{self.service}: out of memory, the kernel killed it (OOM)"
        if self.restarts >= RESTARTS:
            return f"{self.service}: restart loop, exit {self.exit_code} each time"
        return None


@dataclass(frozen=True)
class Before:
    """The containers that existed when a start began. What they did before does not count."""

    at: str = ""  # in Docker's format; "": no start has begun
    by_id: Mapping[str, Container] = field(default_factory=dict)

    def has_started(self, container: Container) -> bool:
        """Whether it was started since, new or old."""
        old = self.by_id.get(container.id)
        return old is None or old.started != container.started

    def since(self, container: Container) -> Container:
        """The container with only what it did since the start began."""
        old = self.by_id.get(container.id)
        if old is None:
            return container
        # Docker counts from 0 again after a stop and start by hand.
        restarts = old.restarts if old.restarts <= container.restarts else 0
        is_old_oom = old.oom_killed and old.started == container.started
        return replace(
            container,
            restarts=container.restarts - restarts,
            oom_killed=container.oom_killed and not is_old_oom,
        )


def from_inspect(value: Mapping[str, Any]) -> Container:
    """From the output of `docker inspect`."""
    state, labels = value["State"], value["Config"].get("Labels") or {}
    host = value["HostConfig"]
    policy = host.get("RestartPolicy") or {}
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
        health_check=read_health_check(value["Config"], state),
        ports=_ports(value),
        serves=bool(value["Config"].get("ExposedPorts") or value["Config"].get("Healthcheck")),
        card_use=card_use(
            requests=host.get("DeviceRequests"),
            runtime=host.get("Runtime"),
            devices=host.get("Devices"),
        ),
        pid=state.get("Pid", 0),
        made_with=made_with(value),
    )


def _ports(value: Mapping[str, Any]) -> tuple[int, ...]:
    bindings = ((value.get("NetworkSettings") or {}).get("Ports") or {}).values()
    ports = {binding.get("HostPort", "") for bound in bindings for binding in bound or ()}
    return tuple(sorted(int(port) for port in ports if port.isdigit()))


def _exit_text(code: int) -> str:
    meanings = {SIGKILL: " (killed: out of memory, or stopped by force)", 127: " (not found)"}
    return f"{code}{meanings.get(code, '')}"
