"""A ready host with a card, on which the stand-ins' base image lies: where apps are released."""

from __future__ import annotations

from tests.apps import base_image
from tests.e2e.commands import deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import Wanted


def ready_for_apps(hosts: Hosts, name: str, *, card: str | None = "p40") -> LabHost:
    """A host of that name, from blank to ready."""
    (host,) = hosts(Wanted(name, "trixie", card=card))
    run = deploy(host)
    assert run.status == 0, run.stderr
    base_image.load(host)
    return host
