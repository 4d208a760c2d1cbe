"""Operations that repair a host: failed services, owners and modes of files."""

from __future__ import annotations

from pyinfra import host

from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.operations.units import refuse_reload
from gpuhost.plans.firewall_files import LOAD_UNIT
from gpuhost.plans.system_files import faults
from gpuhost.plans.system_units import broken_units, masked_units
from gpuhost.remote.commands import run
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# Other services belong to an app, or are started by a step of their own.
STARTED = ("containerd.service", "ufw.service", LOAD_UNIT)
# They need a loaded driver.
NEED_DRIVER = ("nvidia-", "gpuhost-nvidia-")


@operation
def unmask(settings: Settings | None = None) -> Commands:
    """
    Unmask the units that this host needs. Their own operations enable and start them.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        from gpuhost.operations import system_upkeep
        system_upkeep.unmask(name="Masked units")
    """
    settings = settings or Settings()
    snapshot = read(settings)
    names = masked_units(snapshot, settings)
    if not names:
        host.noop("no unit that this host needs is masked")
    elif not refuse_reload("system", snapshot, adopt=settings.adopt):
        yield run("systemctl", "unmask", *names)
        yield run("systemctl", "unmask", "--runtime", *names)


@operation
def services() -> Commands:
    """
    Restart failed services of gpuhost, and containerd if it was stopped while the engine runs.
    Other services stay as they are.

    **Example:**

    .. code:: python

        from gpuhost.operations import system_upkeep
        system_upkeep.services(name="Failed services")
    """
    snapshot = read(Settings())
    names = [name for name in broken_units(snapshot) if _is_restartable(name, snapshot)]
    if not names:
        host.noop("no service of gpuhost has failed")
        return
    yield run("systemctl", "reset-failed", *names)
    yield run("systemctl", "start", *names, seconds=180)


def _is_restartable(name: str, snapshot: Snapshot) -> bool:
    return name in STARTED or (name.startswith(NEED_DRIVER) and snapshot.nvidia.works)


@operation
def files(proxy: bool = False) -> Commands:
    """
    Restore owner and mode of the files that gpuhost writes, and remove write permission for others
    from files that it shares. Other operations restore their content.

    + proxy: a proxy is declared, so that only root may read the files that contain it

    **Example:**

    .. code:: python

        from gpuhost.operations import system_upkeep
        system_upkeep.files(name="Owners and modes")
    """
    wrong = list(faults(read(Settings()), proxy=proxy))
    links = [fault.path for fault in wrong if fault.link]
    if links:
        refuse("system", f"{', '.join(links)} is a link; remove it, and run the deploy again")
    elif not wrong:
        host.noop("every file has the right owner and mode")
    for fault in wrong:
        if not fault.link:
            yield run("chown", "root", "--", fault.path)
            yield run("chmod", fault.mode, "--", fault.path)
