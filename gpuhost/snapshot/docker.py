"""The container engine: packages, service, configuration on disk and in effect, containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpuhost.domain.docker.daemon_file import major_version
from gpuhost.domain.redact import redact_credentials
from gpuhost.snapshot.daemon_config import DAEMON_JSON as DAEMON_JSON
from gpuhost.snapshot.daemon_config import DOCKER_RECORD as DOCKER_RECORD
from gpuhost.snapshot.daemon_config import DaemonConfig, read_daemon_config
from gpuhost.snapshot.engine import ENGINE_RUNS, NOT_RUNNING, Engine, read_engine
from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import ENGINE, ENGINE_SOCKET, Unit, read_unit

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
ENGINE_PACKAGES = ("docker-ce", "docker.io", "moby-engine")
REQUEST = Request(
    files=(SOURCES, KEY),
    packages=("docker*", "containerd*", "podman-docker", "runc", "moby-*"),
    probes=(
        ProbeCommand(
            "docker_containers",
            f"docker ps -a --no-trunc --format '{TAB.join(CONTAINER_COLUMNS)}'",
            only_if=ENGINE_RUNS,
        ),
        ProbeCommand(
            "docker_journal",
            f"journalctl -u {ENGINE} -n 20 --no-pager -o cat",
            only_if=f"has_failed {ENGINE}",
            last=True,
        ),
    ),
)
# What dockerd says last is why; systemd's own lines say only that it ended (engine_restart.sh).
REASON = re.compile(r"unable to|level=(fatal|error)|failed to |invalid|unknown |cannot", re.I)
NO_REASON = re.compile(
    r"^$|^docker\.service: |^(failed to start|start\w*|stop\w*) docker|^see 'dockerd"
    r"|level=(info|warning|debug)",
    re.I,
)
LONGEST_REASON = 400
UNLISTED = "containers that the engine does not list"


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
class Docker:
    """The engine and its containers.

    + engine: None if it does not answer
    + listed: its containers, or why they are unknown
    + last_words: of the journal of an engine that has failed
    """

    packages: Mapping[str, str]
    service: Unit
    socket: Unit
    engine: Engine | None
    engine_complaint: str
    listed: tuple[Container, ...] | str
    config: DaemonConfig
    sources: str | None
    key: str | None
    last_words: str = ""

    @property
    def containers(self) -> tuple[Container, ...]:
        """Every container; none if no engine runs. Raises NotRead if it does not list them."""
        if isinstance(self.listed, str):
            raise NotRead(self.listed)
        return self.listed

    def names(self, *, running: bool = False) -> list[str]:
        """Its containers by name; one entry that stands for all if they are unknown."""
        if isinstance(self.listed, str):
            return [UNLISTED]
        return [container.name for container in self.listed if container.running or not running]

    @property
    def is_stuck(self) -> bool:
        """Whether it runs, by its unit, and does not answer."""
        not_asked = self.engine_complaint == NOT_RUNNING
        return self.service.active and self.engine is None and not not_asked

    @property
    def running_containers(self) -> tuple[Container, ...]:
        return tuple(container for container in self.containers if container.running)

    @classmethod
    def read(cls, probes: Probes) -> Docker:
        engine, complaint = read_engine(probes)
        packages = installed_packages(probes)
        return cls(
            packages=packages,
            service=read_unit(probes, ENGINE),
            socket=read_unit(probes, ENGINE_SOCKET),
            engine=engine,
            engine_complaint=complaint,
            listed=read_containers(probes),
            config=read_daemon_config(probes, _major(engine, packages)),
            sources=probes.file(SOURCES),
            key=probes.file(KEY),
            last_words=_last_words(probes),
        )


def read_containers(probes: Probes) -> tuple[Container, ...] | str:
    """The containers, or why they are unknown."""
    if "docker_containers" not in probes:
        return ()
    try:
        lines = probes.output("docker_containers").splitlines()
    except NotRead as reason:
        return str(reason)
    rows = (line.split("\t") for line in lines)
    return tuple(Container(*row[:11]) for row in rows if len(row) >= 6)


def _last_words(probes: Probes) -> str:
    if "docker_journal" not in probes:
        return ""
    lines = [line.strip() for line in probes.get("docker_journal").out.splitlines()]
    said = [line for line in lines if not NO_REASON.search(line)]
    reasons = list(filter(REASON.search, said)) or said
    return redact_credentials(reasons[-1][:LONGEST_REASON]) if reasons else ""


def _major(engine: Engine | None, packages: Mapping[str, str]) -> int | None:
    """The major version of the engine; of one that does not run, that of its package."""
    installed = (packages[name] for name in ENGINE_PACKAGES if name in packages)
    return major_version(engine.version if engine else next(installed, ""))
