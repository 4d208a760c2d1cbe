"""A typed snapshot of a host.

Each part is parsed when it is first used. A part that could not be read raises NotRead, and the
check becomes `unknown` with the reason: missing tools, errors and timeouts are data.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from gpuhost.snapshot.applied import Applied
from gpuhost.snapshot.apps import Apps
from gpuhost.snapshot.apt import Apt
from gpuhost.snapshot.build import Build
from gpuhost.snapshot.cards_inside import CardsInside
from gpuhost.snapshot.containers import Containers
from gpuhost.snapshot.disks import Disks, Filesystems
from gpuhost.snapshot.docker import Docker
from gpuhost.snapshot.docker_unit import DockerUnit
from gpuhost.snapshot.dpkg import Dpkg, Updates
from gpuhost.snapshot.drift_keys import read_drift_keys
from gpuhost.snapshot.engine_limits import EngineLimits
from gpuhost.snapshot.engine_sockets import EngineSockets
from gpuhost.snapshot.engines import Engines
from gpuhost.snapshot.firewall import Firewall
from gpuhost.snapshot.kernel_log import KernelLog
from gpuhost.snapshot.kernels import Kernels
from gpuhost.snapshot.live import LiveContainers
from gpuhost.snapshot.local_networks import LocalNetworks
from gpuhost.snapshot.memory import Memory
from gpuhost.snapshot.mounts import Mounts
from gpuhost.snapshot.networks import Networks
from gpuhost.snapshot.nginx import Nginx
from gpuhost.snapshot.nvidia import Nvidia
from gpuhost.snapshot.nvidia_health import NvidiaHealth
from gpuhost.snapshot.paths import Paths
from gpuhost.snapshot.ports import Ports
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.proxy import ClientProxy
from gpuhost.snapshot.reboot import Reboot
from gpuhost.snapshot.secure_boot import SecureBoot
from gpuhost.snapshot.ssh import Ssh
from gpuhost.snapshot.swap import Swap
from gpuhost.snapshot.sysctl import Sysctl
from gpuhost.snapshot.system import Clock, Hostname, System
from gpuhost.snapshot.toolkit import Toolkit
from gpuhost.snapshot.units import Units
from gpuhost.snapshot.watched import Watched

__all__ = ["NotRead", "Probe", "Probes", "Snapshot"]

T = TypeVar("T")


def part(read: Callable[[Probes], T]) -> cached_property[T]:
    """A part of a snapshot, parsed when it is first used."""
    return cached_property(lambda snapshot: read(snapshot.probes))


class Snapshot:
    """The state of a host, read in one exec."""

    def __init__(self, probes: Probes) -> None:
        self.probes = probes

    system = part(System.read)
    clock = part(Clock.read)
    hostname = part(Hostname.read)
    reboot = part(Reboot.read)
    units = part(Units.read)
    watched = part(Watched.read)
    ssh = part(Ssh.read)
    dpkg = part(Dpkg.read)
    updates = part(Updates.read)
    client_proxy = part(ClientProxy.read)
    memory = part(Memory.read)
    paths = part(Paths.read)
    disks = part(Disks.read)
    filesystems = part(Filesystems.read)
    mounts = part(Mounts.read)
    swap = part(Swap.read)
    sysctl = part(Sysctl.read)
    nvidia = part(Nvidia.read)
    nvidia_health = part(NvidiaHealth.read)
    kernels = part(Kernels.read)
    secure_boot = part(SecureBoot.read)
    kernel_log = part(KernelLog.read)
    docker = part(Docker.read)
    docker_unit = part(DockerUnit.read)
    drift_keys = part(read_drift_keys)
    engines = part(Engines.read)
    engine_sockets = part(EngineSockets.read)
    engine_limits = part(EngineLimits.read)
    containers = part(Containers.read)
    cards_inside = part(CardsInside.read)
    networks = part(Networks.read)
    local_networks = part(LocalNetworks.read)
    toolkit = part(Toolkit.read)
    firewall = part(Firewall.read)
    apt = part(Apt.read)
    applied = part(Applied.read)
    apps = part(Apps.read)
    live = part(LiveContainers.read)
    ports = part(Ports.read)
    build = part(Build.read)
    nginx = part(Nginx.read)
