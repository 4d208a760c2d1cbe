"""The networks of the container engine."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.snapshot.docker import COMPOSE, TAB
from gpuhost.snapshot.engine import ENGINE_RUNS
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request

NETWORK_COLUMNS = (
    "{{.Name}}",
    "{{.Driver}}",
    f'{{{{.Label "{COMPOSE}.project"}}}}',
    f'{{{{.Label "{COMPOSE}.network"}}}}',
)
REQUEST = Request(
    probes=(
        ProbeCommand(
            "docker_networks",
            f"docker network ls --no-trunc --format '{TAB.join(NETWORK_COLUMNS)}'",
            only_if=ENGINE_RUNS,
        ),
    )
)


@dataclass(frozen=True)
class Network:
    """A network; project and key: of Compose, "" if Compose did not create it."""

    name: str
    driver: str
    project: str
    key: str


@dataclass(frozen=True)
class Networks:
    """Every network of a running engine, by name."""

    by_name: dict[str, Network]

    @classmethod
    def read(cls, probes: Probes) -> Networks:
        if "docker_networks" not in probes:
            return cls({})
        rows = (line.split("\t") for line in probes.output("docker_networks").splitlines())
        return cls({row[0]: Network(*row) for row in rows if len(row) == 4})
