"""Hosts of the lab, provisioned by the real deploy; booted once for all parts of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bench.measure import Broken, bin, console, timed
from bench.openssh import Login
from gpuhost.plans.request import request_for
from gpuhost.settings import Settings
from gpuhost.settings.merge import Layer, merge_layers
from gpuhost.snapshot.collector import script
from tests.e2e.commands import ROOT
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.inventory import settings
from tests.lab.lab import HostSpec, Lab, down
from tests.lab.process import this_process

LAB = os.environ.get("GPUHOST_LAB") or "bench"
INVENTORY = "inventories/lab.py"
CARD = "p40"
HOSTS = 10
DEPLOY = ("-y", INVENTORY, "deploys/gpu_host.py")
ENVIRONMENT = {"GPUHOST_LAB": LAB, "PYINFRA_PROGRESS": "off"}
# Ansible's modules for apt need it on a host; gpuhost does not.
FOR_ANSIBLE = "python3-apt"


@dataclass
class _Booted:
    lab: Lab | None = None


_booted = _Booted()


def lab() -> Lab:
    if _booted.lab is None:
        _booted.lab = Lab(LAB, owner=this_process())
    return _booted.lab


def take_down() -> None:
    """Remove the hosts that this run has booted, if any."""
    if _booted.lab is not None:
        down(LAB)
        _booted.lab = None


def blank_host() -> LabHost:
    """A host that is not provisioned, alone in its lab."""
    take_down()
    (host,) = lab().boot(HostSpec("bench-blank", "trixie", card=CARD))
    return host


def ready_hosts(count: int = HOSTS) -> list[LabHost]:
    """`count` hosts, Debian 12 and 13 alternating, on which every check is ok.

    One of each release is provisioned from blank; the others start with a copy of its disks.
    """
    booted = list(lab().hosts.values())
    if len(booted) == count and all(host.name.startswith("ready-") for host in booted):
        return booted
    take_down()
    firsts = lab().boot(*(HostSpec(f"ready-{release}-1", release, CARD) for release in RELEASES))
    _provision()
    for host in firsts:
        host.run(f"DEBIAN_FRONTEND=noninteractive apt-get -q -y install {FOR_ANSIBLE}", timeout=600)
    kept = {host.state.release: host.snapshot("ready") for host in firsts}
    turns = range(2, count // len(RELEASES) + 1)
    more = [HostSpec(f"ready-{release}-{turn}", release, CARD, kept[release])
            for turn in turns for release in RELEASES]  # fmt: skip
    if more:
        lab().boot(*more)
        _provision()
    timed([bin("gpuhost"), "check", INVENTORY], cwd=ROOT, env=ENVIRONMENT)
    return list(lab().hosts.values())


def _provision() -> None:
    console.print("provisioning hosts: deploys/gpu_host.py")
    timed([bin("pyinfra"), *DEPLOY], cwd=ROOT, env=ENVIRONMENT)


def login(host: LabHost) -> Login:
    state = host.state
    return Login(state.address, state.port, state.user, state.key, state.known_hosts)


def declared(host: LabHost) -> Settings:
    """What the lab's inventory declares for a host."""
    kept = lab().save()
    return merge_layers([Layer("the lab", settings(host.state, kept.repository))])


def collector(hosts: list[LabHost]) -> str:
    """The script that gpuhost sends to these hosts."""
    requests = {request_for(declared(host)) for host in hosts}
    if len(requests) != 1:
        raise Broken("the lab's hosts have different settings")
    return script(requests.pop())
