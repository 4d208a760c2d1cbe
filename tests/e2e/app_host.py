"""A provisioned host with a card and the base image of the stand-ins, for releases of apps."""

from __future__ import annotations

from tests.apps import base_image
from tests.e2e.commands import deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec


def ready_for_apps(hosts: Hosts, name: str, *, card: str | None = "p40") -> LabHost:
    """Boot a host of that name, provision it, and load the base image."""
    (host,) = hosts(HostSpec(name, "trixie", card=card))
    run = deploy(host)
    assert run.status == 0, run.stderr
    base_image.load(host)
    return host
