"""Every container as the engine describes it, and the images behind the tags of releases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from shlex import quote
from typing import Any

from gpuhost.domain import host_json
from gpuhost.domain.firewall.sockets import plain_address
from gpuhost.runner.contract import card_use, is_given_by_hook
from gpuhost.snapshot.apps import HAS_APPS
from gpuhost.snapshot.engine import ENGINE_RUNS, NOT_RUNNING
from gpuhost.snapshot.lenient import mapping, mappings, text, whole
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# The status of xargs if a container was removed before it was inspected; the others are listed.
SOME_GONE = 123
GONE = "no such container"
NEVER = "0001-01-01"
# Only these fields of a container: its environment, command and labels may hold secrets. They have
# the names of the client's own structure. For one that has not (`.Id`), the client falls back to
# the engine's JSON, where a container without a health check has no `.State.Health` at all.
DESCRIPTION = (
    '{"id":{{json .ID}},"pid":{{.State.Pid}},"requests":{{json .HostConfig.DeviceRequests}},'
    '"runtime":{{json .HostConfig.Runtime}},"devices":{{json .HostConfig.Devices}},'
    '"name":{{json .Name}},"image":{{json .Image}},"state":{{json .State.Status}},'
    '"health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}""{{end}},'
    '"exit_code":{{json .State.ExitCode}},"oom_killed":{{json .State.OOMKilled}},'
    '"started":{{json .State.StartedAt}},"restarts":{{json .RestartCount}},'
    '"policy":{{json .HostConfig.RestartPolicy.Name}},'
    '"project":{{json (index .Config.Labels "com.docker.compose.project")}},'
    '"service":{{json (index .Config.Labels "com.docker.compose.service")}},'
    '"directory":{{json (index .Config.Labels "com.docker.compose.project.working_dir")}},'
    '"one_off":{{json (index .Config.Labels "com.docker.compose.oneoff")}},'
    '"declared":{{json .HostConfig.PortBindings}},"bound":{{json .NetworkSettings.Ports}}}'
)
# Those that the probe docker_containers lists. A list that fails is not an empty list.
INSPECT_ALL = """listed=$2/docker_containers
until [ -s "$listed.rc" ]; do sleep 0.1; done
[ "$(cat "$listed.rc")" = 0 ] || { cat "$listed.err" >&2; exit 1; }
cut -f 1 "$listed.out" | xargs -r docker container inspect --format "$1\""""
# systemd's own groups of containers, in version 2 or below a controller of version 1; by default in
# system.slice. printf is the shell's own.
SCOPES = r"printf '%s\n' /sys/fs/cgroup/*/docker-*.scope /sys/fs/cgroup/*/*/docker-*.scope"
SCOPE = re.compile(r"/docker-([0-9a-f]{64})\.scope$", re.MULTILINE)
REQUEST = Request(
    probes=(
        ProbeCommand(
            "docker_inspect",
            f'sh -c {quote(INSPECT_ALL)} sh {quote(DESCRIPTION)} "$work"',
            seconds=20,
            only_if=ENGINE_RUNS,
        ),
        ProbeCommand("container_scopes", SCOPES, at_once=True),
        # Only releases have such images.
        ProbeCommand(
            "docker_images",
            "docker image ls --no-trunc --filter 'reference=gpuhost/*/*'"
            r" --format '{{.Repository}}:{{.Tag}}\t{{.ID}}'",
            seconds=20,
            only_if=f"{HAS_APPS} && {ENGINE_RUNS}",
        ),
    ),
)


@dataclass(frozen=True, order=True)
class Binding:
    """Published ports. address: "" for all addresses of the host; ports: "3000" or "81-90"."""

    address: str
    ports: str
    protocol: str

    def __str__(self) -> str:
        where = f"[{self.address}]" if ":" in self.address else self.address
        return f"{where}{':' if where else ''}{self.ports}/{self.protocol}"

    @classmethod
    def parse(cls, text: str) -> Binding:
        """ "127.0.0.1:3000/tcp", or "3000/tcp" for all addresses."""
        host_side, _, protocol = text.rpartition("/")
        address, _, ports = host_side.rpartition(":")
        return cls(plain_address(address), ports, protocol)


@dataclass(frozen=True)
class InspectedContainer:
    """A container.

    + image: the id of the image that it was made from; id: its own
    + project, service, directory, one_off: from the labels of Compose
    + health: healthy, unhealthy, starting; "" without a health check
    + restarts: how often the engine restarted it since its last manual start
    + ends: the engine does not start it again
    + started: epoch seconds, of its last start
    + uses_card: it was given NVIDIA cards; by_hook: by the toolkit's hook or runtime
    + by_systemd: systemd manages its cgroup, by the engine's driver when it was started
    + declared: the ports that it was created with; bound: the ports that it publishes while it runs
    """

    name: str
    image: str
    state: str
    project: str = ""
    service: str = ""
    directory: str = ""
    one_off: bool = False
    health: str = ""
    exit_code: int = 0
    restarts: int = 0
    oom_killed: bool = False
    ends: bool = False
    started: int | None = None
    declared: frozenset[Binding] = frozenset()
    bound: frozenset[Binding] = frozenset()
    id: str = ""
    uses_card: bool = False
    by_hook: bool = False
    by_systemd: bool = False

    @property
    def running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True)
class Containers:
    """tags: gpuhost's own tags, gpuhost/APP/SERVICE:ID12, each with the id of its image."""

    all: tuple[InspectedContainer, ...]
    tags: Mapping[str, str]

    def of_project(self, name: str) -> tuple[InspectedContainer, ...]:
        """The containers of a Compose project, without those of `docker compose run`."""
        return tuple(
            container
            for container in self.all
            if container.project == name and not container.one_off
        )

    @classmethod
    def read(cls, probes: Probes) -> Containers:
        """Raises NotRead, also if no engine runs."""
        if not is_listed(probes):
            raise NotRead(NOT_RUNNING)
        lines = _inspected(probes)
        has_scopes = "container_scopes" in probes
        scopes = frozenset(SCOPE.findall(probes.output("container_scopes")) if has_scopes else ())
        images = probes.output("docker_images") if "docker_images" in probes else ""
        rows = (line.split("\t") for line in images.splitlines())
        return cls(
            tuple(
                sorted(
                    (_container(value, scopes) for value in _parsed(lines)),
                    key=lambda container: container.name,
                )
            ),
            {row[0]: row[1] for row in rows if len(row) == 2},
        )


def is_listed(probes: Probes) -> bool:
    """Whether the engine's unit was active, so that it was asked."""
    return "docker_inspect" in probes


def _inspected(probes: Probes) -> list[str]:
    """A line for each container. Raises NotRead if the engine itself stopped."""
    out, probe = probes.output("docker_inspect", allow=(0, SOME_GONE)), probes.get("docker_inspect")
    errors = [line.strip() for line in probe.err.splitlines() if GONE not in line.lower()]
    if probe.rc == SOME_GONE and any(errors):
        raise NotRead(f"docker_inspect: {next(filter(None, errors))}")
    # xargs prints an empty line if every container is gone.
    return [line for line in out.splitlines() if line]


def _parsed(lines: list[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            yield mapping(host_json.parse(line))
        except (ValueError, RecursionError) as error:
            raise NotRead(f"docker inspect did not print JSON: {error}") from error


def _container(value: Mapping[str, Any], scopes: frozenset[str]) -> InspectedContainer:
    return InspectedContainer(
        name=text(value.get("name")).lstrip("/"),
        image=text(value.get("image")),
        state=text(value.get("state")),
        project=text(value.get("project")),
        service=text(value.get("service")),
        directory=text(value.get("directory")),
        one_off=value.get("one_off") == "True",
        health=text(value.get("health")).replace("none", ""),
        exit_code=whole(value.get("exit_code")),
        restarts=whole(value.get("restarts")),
        oom_killed=value.get("oom_killed") is True,
        ends=value.get("policy") in ("", "no"),
        started=_epoch(text(value.get("started"))),
        declared=frozenset(_bindings(value.get("declared"))),
        bound=frozenset(_bindings(value.get("bound"))),
        id=text(value.get("id")),
        uses_card=bool(
            card_use(
                requests=value.get("requests"),
                runtime=value.get("runtime"),
                devices=value.get("devices"),
            )
        ),
        by_hook=is_given_by_hook(requests=value.get("requests"), runtime=value.get("runtime")),
        by_systemd=text(value.get("id")) in scopes,
    )


def _bindings(value: object) -> Iterator[Binding]:
    """{"3000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "3000"}]}; null: not published."""
    for inside, places in mapping(value).items():
        for binding in mappings(places):
            port = text(binding.get("HostPort"))
            # Without a number the engine chooses a free port at each start.
            if port not in ("", "0"):
                address = plain_address(text(binding.get("HostIp")))
                yield Binding(address, port, inside.rpartition("/")[2])


def _epoch(moment: str) -> int | None:
    """ "2026-11-21T21:55:03.123456789Z"; the engine writes its own time as UTC."""
    if moment.startswith(NEVER):
        return None
    try:
        started = datetime.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return None
    return int(started.replace(tzinfo=timezone.utc).timestamp())
