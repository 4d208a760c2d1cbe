"""The host itself, before anything is installed on it, and how it looks after itself later."""

from __future__ import annotations

from gpuhost.checks.host.proxy import declared_at_all
from gpuhost.operations import system, system_upkeep
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def undisturbed(declared: Settings) -> None:
    """Nobody else is installing packages, and none is half installed."""
    system.packages(
        name="Package manager", lock_timeout_s=declared.apt_lock_timeout_s, **elevated(declared)
    )


def ready(declared: Settings) -> None:
    """python3, a host name that resolves and a clock that is right."""
    wait = declared.apt_lock_timeout_s
    system.python(name="python3", lock_timeout_s=wait, **elevated(declared))
    system.hostname(name="Host name", **elevated(declared))
    system.clock(name="Clock", lock_timeout_s=wait, **elevated(declared))


def updated(declared: Settings) -> None:
    """Security updates install themselves, NVIDIA's and Docker's packages excepted; what failed
    of ours runs again; our files are root's."""
    system.security_updates(
        name="Security updates",
        enabled=declared.system_security_updates,
        lock_timeout_s=declared.apt_lock_timeout_s,
        **elevated(declared),
    )
    system_upkeep.services(name="Failed services", **elevated(declared))
    proxy = declared_at_all(declared)
    system_upkeep.files(name="Owners and modes", proxy=proxy, **elevated(declared))


def removed(declared: Settings) -> None:
    """Our configuration of security updates is gone; what was mended stays mended."""
    system.security_updates(name="Security updates", enabled=False, **elevated(declared))
