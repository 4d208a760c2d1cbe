"""Every container as the engine describes it, and the images behind the tags of releases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from shlex import quote
from typing import Any

from gpuhost.snapshot.engine import ENGINE_RUNS
from gpuhost.snapshot.lenient import mapping, mappings, text, whole
from gpuhost.snapshot.ports import plain_address
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

STOPPED = "docker.service is not running"
# The status of xargs when a container went away before it was inspected; the others are listed.
SOME_GONE = 123
GONE = "no such container"
NEVER = "0001-01-01"
# Of a container only what is named here: its environment, command and labels hold secrets.
DESCRIPTION = (
    '{"name":{{json .Name}},"image":{{json .Image}},"state":{{json .State.Status}},'
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
# A list that fails is not an empty list: a pipe would hide the failure.
INSPECT_ALL = """ids=$(docker ps -aq --no-trunc) || exit
printf "%s\\n" "$ids" | xargs -r docker container inspect --format "$1\""""
REQUEST = Request(
    probes=(
        ProbeCommand(
            "docker_inspect",
            f"sh -c {quote(INSPECT_ALL)} sh {quote(DESCRIPTION)}",
            seconds=15,
            only_if=ENGINE_RUNS,
        ),
        ProbeCommand(
            "docker_images",
            "docker image ls --no-trunc --filter 'reference=gpuhost/*/*'"
            r" --format '{{.Repository}}:{{.Tag}}\t{{.ID}}'",
            seconds=15,
            only_if=ENGINE_RUNS,
        ),
    ),
)


@dataclass(frozen=True, order=True)
class Binding:
    """Ports on the host. address: "" for all of the host's; ports: "3000", or a range "81-90"."""

    address: str
    ports: str
    protocol: str

    def __str__(self) -> str:
        where = f"[{self.address}]" if ":" in self.address else self.address
        return f"{where}{':' if where else ''}{self.ports}/{self.protocol}"

    @classmethod
    def parse(cls, words: str) -> Binding:
        """ "127.0.0.1:3000/tcp", or "3000/tcp" for all addresses."""
        place, _, protocol = words.rpartition("/")
        address, _, ports = place.rpartition(":")
        return cls(plain_address(address), ports, protocol)


@dataclass(frozen=True)
class Described:
    """A container.

    + image: the id of the image that it was made from
    + project, service, directory, one_off: what Compose wrote on it
    + health: healthy, unhealthy, starting; "" without a health check
    + restarts: how often the engine started it again by itself, since somebody started it
    + ends: the engine does not start it again
    + started: epoch seconds, of its last start
    + declared: the ports that it was made with; bound: those that it has, while it runs
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

    @property
    def running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True)
class Containers:
    """tags: of gpuhost's own, gpuhost/APP/SERVICE:ID12, each with the id that it stands for."""

    all: tuple[Described, ...]
    tags: Mapping[str, str]

    def of_project(self, name: str) -> tuple[Described, ...]:
        """Those that Compose keeps; what somebody runs once (`compose run`) is none."""
        return tuple(one for one in self.all if one.project == name and not one.one_off)

    @classmethod
    def read(cls, probes: Probes) -> Containers:
        """Raises NotRead, also where no engine runs."""
        if "docker_inspect" not in probes:
            raise NotRead(STOPPED)
        lines = _inspected(probes)
        rows = (line.split("\t") for line in probes.output("docker_images").splitlines())
        return cls(
            tuple(sorted(map(_described, _parsed(lines)), key=lambda one: one.name)),
            {row[0]: row[1] for row in rows if len(row) == 2},
        )


def _inspected(probes: Probes) -> list[str]:
    """A line each. xargs says the same when the engine itself went away: its words tell."""
    out, probe = probes.output("docker_inspect", allow=(0, SOME_GONE)), probes.get("docker_inspect")
    others = [line.strip() for line in probe.err.splitlines() if GONE not in line.lower()]
    if probe.rc == SOME_GONE and any(others):
        raise NotRead(f"docker_inspect: {next(filter(None, others))}")
    # Of containers that are all gone it prints an empty line.
    return [line for line in out.splitlines() if line]


def _parsed(lines: list[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            yield mapping(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise NotRead(f"docker inspect did not print JSON: {error}") from error


def _described(value: Mapping[str, Any]) -> Described:
    return Described(
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
    )


def _bindings(value: object) -> Iterator[Binding]:
    """{"3000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "3000"}]}; null: inside only."""
    for inside, places in mapping(value).items():
        for place in mappings(places):
            port = text(place.get("HostPort"))
            # Without a number the engine picks one, another one at each start.
            if port not in ("", "0"):
                address = plain_address(text(place.get("HostIp")))
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
