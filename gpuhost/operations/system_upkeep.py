"""What keeps a host as gpuhost left it: its services run, its files are root's."""

from __future__ import annotations

from pyinfra import host

from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.firewall_files import LOAD_UNIT
from gpuhost.plans.system_files import faults
from gpuhost.plans.system_units import broken_units
from gpuhost.remote.commands import refuse, run
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# Others have a step of their own that starts them, or are an app's.
STARTED = ("containerd.service", "ufw.service", LOAD_UNIT)
# Without a driver they fail again.
WITH_THE_DRIVER = ("nvidia-", "gpuhost-nvidia-")


@operation
def services() -> Commands:
    """
    Have what failed of ours started again, and containerd where it was stopped under the engine.
    Services of others stay as they are.

    **Example:**

    .. code:: python

        from gpuhost.operations import system_upkeep
        system_upkeep.services(name="Failed services")
    """
    snapshot = read(Settings())
    names = [name for name in broken_units(snapshot) if _is_started(name, snapshot)]
    if not names:
        host.noop("nothing of ours has failed")
        return
    yield run("systemctl", "reset-failed", *names)
    yield run("systemctl", "start", *names, seconds=180)


def _is_started(name: str, snapshot: Snapshot) -> bool:
    return name in STARTED or (name.startswith(WITH_THE_DRIVER) and snapshot.nvidia.works)


@operation
def files(proxy: bool = False) -> Commands:
    """
    Have the files that gpuhost writes be root's, of the mode that they were written with, and
    what it shares with others not be written by them. Their content is their nouns' matter.

    + proxy: one is declared, so that what holds it is root's alone

    **Example:**

    .. code:: python

        from gpuhost.operations import system_upkeep
        system_upkeep.files(name="Owners and modes")
    """
    found = list(faults(read(Settings()), proxy=proxy))
    links = [fault.path for fault in found if fault.link]
    if links:
        refuse("system", f"{', '.join(links)} leads elsewhere; rm it, and run the deploy again")
    elif not found:
        host.noop("every file is root's")
    for fault in found:
        if not fault.link:
            yield run("chown", "root", "--", fault.path)
            yield run("chmod", fault.mode, "--", fault.path)
