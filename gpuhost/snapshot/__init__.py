"""One reading of a host, typed.

Each noun is a part that is parsed when it is first asked for. A part that could not be read raises
NotRead, which a check turns into `unknown` with the reason: missing tools, errors and time-outs
are data.
"""

from __future__ import annotations

from functools import cached_property

from gpuhost.snapshot.applied import Applied
from gpuhost.snapshot.apps import Apps
from gpuhost.snapshot.apt import Apt
from gpuhost.snapshot.build import Build
from gpuhost.snapshot.containers import Containers
from gpuhost.snapshot.docker import Docker, Networks
from gpuhost.snapshot.dpkg import Dpkg, Updates
from gpuhost.snapshot.firewall import Firewall
from gpuhost.snapshot.kernel_log import KernelLog
from gpuhost.snapshot.kernels import Kernels, SecureBoot
from gpuhost.snapshot.memory import Memory
from gpuhost.snapshot.mounts import Mounts
from gpuhost.snapshot.nginx import Nginx
from gpuhost.snapshot.nvidia import Nvidia
from gpuhost.snapshot.paths import Disks, Filesystems, Paths
from gpuhost.snapshot.ports import Ports
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.proxy import ClientProxy
from gpuhost.snapshot.ssh import Ssh
from gpuhost.snapshot.swap import Swap
from gpuhost.snapshot.system import Clock, Hostname, Reboot, System
from gpuhost.snapshot.toolkit import Toolkit
from gpuhost.snapshot.units import FailedUnits

__all__ = ["NotRead", "Probe", "Probes", "Snapshot"]


class Snapshot:
    """What one exec told of a host."""

    def __init__(self, probes: Probes) -> None:
        self.probes = probes

    @cached_property
    def system(self) -> System:
        return System.read(self.probes)

    @cached_property
    def clock(self) -> Clock:
        return Clock.read(self.probes)

    @cached_property
    def hostname(self) -> Hostname:
        return Hostname.read(self.probes)

    @cached_property
    def reboot(self) -> Reboot:
        return Reboot.read(self.probes)

    @cached_property
    def units(self) -> FailedUnits:
        return FailedUnits.read(self.probes)

    @cached_property
    def ssh(self) -> Ssh:
        return Ssh.read(self.probes)

    @cached_property
    def dpkg(self) -> Dpkg:
        return Dpkg.read(self.probes)

    @cached_property
    def updates(self) -> Updates:
        return Updates.read(self.probes)

    @cached_property
    def client_proxy(self) -> ClientProxy:
        return ClientProxy.read(self.probes)

    @cached_property
    def memory(self) -> Memory:
        return Memory.read(self.probes)

    @cached_property
    def paths(self) -> Paths:
        return Paths.read(self.probes)

    @cached_property
    def disks(self) -> Disks:
        return Disks.read(self.probes)

    @cached_property
    def filesystems(self) -> Filesystems:
        return Filesystems.read(self.probes)

    @cached_property
    def mounts(self) -> Mounts:
        return Mounts.read(self.probes)

    @cached_property
    def swap(self) -> Swap:
        return Swap.read(self.probes)

    @cached_property
    def nvidia(self) -> Nvidia:
        return Nvidia.read(self.probes)

    @cached_property
    def kernels(self) -> Kernels:
        return Kernels.read(self.probes)

    @cached_property
    def secure_boot(self) -> SecureBoot:
        return SecureBoot.read(self.probes)

    @cached_property
    def kernel_log(self) -> KernelLog:
        return KernelLog.read(self.probes)

    @cached_property
    def docker(self) -> Docker:
        return Docker.read(self.probes)

    @cached_property
    def containers(self) -> Containers:
        return Containers.read(self.probes)

    @cached_property
    def networks(self) -> Networks:
        return Networks.read(self.probes)

    @cached_property
    def toolkit(self) -> Toolkit:
        return Toolkit.read(self.probes)

    @cached_property
    def firewall(self) -> Firewall:
        return Firewall.read(self.probes)

    @cached_property
    def apt(self) -> Apt:
        return Apt.read(self.probes)

    @cached_property
    def applied(self) -> Applied | None:
        return Applied.read(self.probes)

    @cached_property
    def apps(self) -> Apps:
        return Apps.read(self.probes)

    @cached_property
    def ports(self) -> Ports:
        return Ports.read(self.probes)

    @cached_property
    def build(self) -> Build:
        return Build.read(self.probes)

    @cached_property
    def nginx(self) -> Nginx:
        return Nginx.read(self.probes)
