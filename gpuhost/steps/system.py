"""The host itself, before anything is installed on it, and how it looks after itself later."""

from __future__ import annotations

from gpuhost.operations import system, system_upkeep
from gpuhost.plans.proxy import is_declared
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def wait_for_package_manager(settings: Settings) -> None:
    """Nobody else is installing packages, and none is half installed."""
    system.packages(
        name="Package manager", lock_timeout_s=settings.apt_lock_timeout_s, **sudo_args(settings)
    )


def ready(settings: Settings) -> None:
    """python3, a host name that resolves and a clock that is right."""
    wait = settings.apt_lock_timeout_s
    system.python(name="python3", lock_timeout_s=wait, **sudo_args(settings))
    system.hostname(name="Host name", **sudo_args(settings))
    system.clock(name="Clock", lock_timeout_s=wait, **sudo_args(settings))


def updated(settings: Settings) -> None:
    """Security updates install themselves, NVIDIA's and Docker's packages excepted; what failed
    of ours runs again; our files are root's."""
    system.security_updates(
        name="Security updates",
        enabled=settings.system_security_updates,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )
    system_upkeep.services(name="Failed services", **sudo_args(settings))
    proxy = is_declared(settings)
    system_upkeep.files(name="Owners and modes", proxy=proxy, **sudo_args(settings))


def removed(settings: Settings) -> None:
    """Our configuration of security updates is gone; what was mended stays mended."""
    system.security_updates(name="Security updates", enabled=False, **sudo_args(settings))
