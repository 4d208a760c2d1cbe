"""The networks of the container engine, and the bridges that they have on the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote

from gpuhost.snapshot.docker import COMPOSE, TAB
from gpuhost.snapshot.engine import ENGINE_RUNS
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request

NETWORK_COLUMNS = (
    "{{.Name}}",
    "{{.Driver}}",
    f'{{{{.Label "{COMPOSE}.project"}}}}',
    f'{{{{.Label "{COMPOSE}.network"}}}}',
    "{{.ID}}",
)
# moby, bridge driver: the option names the bridge (of the network `bridge`: daemon.json's or
# dockerd's own); without it the name is made of the id. macvlan and ipvlan have no bridge.
BRIDGE_OPTION = "com.docker.network.bridge.name"
DEFAULT_BRIDGE = "docker0"
BRIDGE_FORMAT = f'{{{{.ID}}}} {{{{with index .Options "{BRIDGE_OPTION}"}}}}{{{{.}}}}{{{{end}}}}'
# Asked only where the kernel has a bridge of another name than Docker's own.
# 2: the list failed. 1: a network is gone since; the others are printed.
BRIDGES = f"""ids=$(docker network ls -q --no-trunc --filter driver=bridge) || exit 2
docker network inspect --format '{BRIDGE_FORMAT}' $ids"""
REQUEST = Request(
    probes=(
        ProbeCommand(
            "docker_networks",
            f"docker network ls --no-trunc --format '{TAB.join(NETWORK_COLUMNS)}'",
            only_if=ENGINE_RUNS,
        ),
        ProbeCommand(
            "docker_bridges",
            f"sh -c {quote(BRIDGES)}",
            only_if=f"has_named_bridge && {ENGINE_RUNS}",
        ),
    )
)


@dataclass(frozen=True)
class Network:
    """A network.

    + project, key: of Compose, "" if Compose did not create it
    + bridge: its interface on the host; "" without one
    """

    name: str
    driver: str
    project: str
    key: str
    bridge: str = ""


@dataclass(frozen=True)
class Networks:
    """Every network of a running engine, by name."""

    by_name: dict[str, Network]

    @property
    def bridges(self) -> tuple[str, ...]:
        """The interfaces of all networks, as the engine names them."""
        return tuple(sorted({net.bridge for net in self.by_name.values() if net.bridge}))

    @classmethod
    def read(cls, probes: Probes) -> Networks:
        if "docker_networks" not in probes:
            return cls({})
        named = dict(_named(probes)) if "docker_bridges" in probes else {}
        rows = (line.split("\t") for line in probes.output("docker_networks").splitlines())
        return cls({row[0]: _network(row, named) for row in rows if len(row) in (4, 5)})


def _named(probes: Probes) -> Iterator[tuple[str, str]]:
    for line in probes.output("docker_bridges", allow=(0, 1)).splitlines():
        id, _, name = line.partition(" ")
        if name.strip():
            yield id, name.strip()


def _network(row: list[str], named: Mapping[str, str]) -> Network:
    name, driver, project, key, id = (*row, "")[:5]
    bridge = ""
    if driver == "bridge":
        default = DEFAULT_BRIDGE if name == "bridge" else f"br-{id[:12]}" if id else ""
        bridge = named.get(id, default)
    return Network(name, driver, project, key, bridge)
