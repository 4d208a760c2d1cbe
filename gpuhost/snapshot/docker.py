"""The container engine: packages, service, configuration on disk and in effect, containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpuhost.domain import host_json
from gpuhost.snapshot.engine import ENGINE_RUNS, Engine, read_engine
from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import ENGINE, Unit, read_unit

DAEMON_JSON = "/etc/docker/daemon.json"
DOCKER_RECORD = "/var/lib/gpuhost/docker.json"
SOURCES = "/etc/apt/sources.list.d/docker.sources"
KEY = "/etc/apt/keyrings/docker.asc"
COMPOSE = "com.docker.compose"
CONTAINER_COLUMNS = (
    "{{.ID}}",
    "{{.Names}}",
    "{{.State}}",
    "{{.Image}}",
    "{{.Ports}}",
    f'{{{{.Label "{COMPOSE}.project"}}}}',
    f'{{{{.Label "{COMPOSE}.service"}}}}',
    f'{{{{.Label "{COMPOSE}.project.working_dir"}}}}',
    f'{{{{.Label "{COMPOSE}.oneoff"}}}}',
    "{{.Status}}",
    "{{.Mounts}}",
)
TAB = r"\t"
REQUEST = Request(
    files=(DAEMON_JSON, DOCKER_RECORD, SOURCES, KEY),
    packages=("docker*", "containerd*", "podman-docker", "runc"),
    managed=(DAEMON_JSON,),
    probes=(
        ProbeCommand(
            "docker_containers",
            f"docker ps -a --no-trunc --format '{TAB.join(CONTAINER_COLUMNS)}'",
            only_if=ENGINE_RUNS,
        ),
    ),
)


@dataclass(frozen=True)
class Container:
    """A container, and the labels that Compose gave it.

    + project, service, directory: of Compose; directory: of the project
    + one_off: "True": started by `docker compose run`
    + status: of `docker ps`, "Up 2 minutes (healthy)"
    + mounts: names of volumes and paths of binds, separated by commas
    """

    id: str
    name: str
    state: str
    image: str
    ports: str
    project: str
    service: str = ""
    directory: str = ""
    one_off: str = ""
    status: str = ""
    mounts: str = ""

    @property
    def running(self) -> bool:
        return self.state in ("running", "restarting", "paused")

    @property
    def health(self) -> str:
        """healthy, unhealthy, starting; "" without a health check or while it does not run."""
        match = re.search(r"\((?:health: )?(healthy|unhealthy|starting)\)$", self.status)
        return match[1] if match else ""

    @property
    def exit_status(self) -> int | None:
        match = re.match(r"Exited \((\d{1,5})\)", self.status, re.ASCII)
        return int(match[1]) if match else None


@dataclass(frozen=True)
class DaemonConfig:
    """daemon.json.

    + text: None if there is no file
    + values: None if it is not a JSON object
    + owned: paths of the keys that gpuhost wrote, "log-opts.max-size"
    """

    text: str | None
    values: dict[str, Any] | None
    owned: tuple[str, ...]


@dataclass(frozen=True)
class Docker:
    """The engine and its containers; engine: None if it does not answer."""

    packages: Mapping[str, str]
    service: Unit
    engine: Engine | None
    engine_complaint: str
    containers: tuple[Container, ...]
    config: DaemonConfig
    sources: str | None
    key: str | None

    @property
    def running_containers(self) -> tuple[Container, ...]:
        return tuple(container for container in self.containers if container.running)

    @classmethod
    def read(cls, probes: Probes) -> Docker:
        engine, complaint = read_engine(probes)
        return cls(
            packages=installed_packages(probes),
            service=read_unit(probes, ENGINE),
            engine=engine,
            engine_complaint=complaint,
            containers=_containers(probes),
            config=_daemon_config(probes),
            sources=probes.file(SOURCES),
            key=probes.file(KEY),
        )


def _containers(probes: Probes) -> tuple[Container, ...]:
    if "docker_containers" not in probes:
        return ()
    rows = (line.split("\t") for line in probes.output("docker_containers").splitlines())
    return tuple(Container(*row[:11]) for row in rows if len(row) >= 6)


def _daemon_config(probes: Probes) -> DaemonConfig:
    text = probes.file(DAEMON_JSON)
    return DaemonConfig(text, _json_object(text or "{}"), _owned(probes.file(DOCKER_RECORD)))


def _owned(record: str | None) -> tuple[str, ...]:
    values = _json_object(record or "{}") or {}
    keys = values.get("daemon_json")
    return tuple(str(key) for key in keys) if isinstance(keys, list) else ()


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        values = host_json.parse(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
