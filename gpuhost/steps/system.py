"""The operating system: before anything is installed, and its maintenance."""

from __future__ import annotations

from gpuhost.operations import system, system_upkeep
from gpuhost.plans.proxy import is_declared
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def wait_for_package_manager(settings: Settings) -> None:
    """Wait until no other process installs packages, and finish half installed ones."""
    system.packages(
        name="Package manager", lock_timeout_s=settings.apt_lock_timeout_s, **sudo_args(settings)
    )


def unmask(settings: Settings) -> None:
    """Unmask the units that this host needs, before anything is started."""
    system_upkeep.unmask(name="Masked units", settings=settings, **sudo_args(settings))


def apply(settings: Settings) -> None:
    """Install python3, make the host name resolve, and synchronise the clock."""
    lock_timeout_s = settings.apt_lock_timeout_s
    system.python(name="python3", lock_timeout_s=lock_timeout_s, **sudo_args(settings))
    system.hostname(name="Host name", **sudo_args(settings))
    system.clock(
        name="Clock", adopt=settings.adopt, lock_timeout_s=lock_timeout_s, **sudo_args(settings)
    )


def enable_security_updates(settings: Settings) -> None:
    """Enable automatic security updates, if declared, except for NVIDIA's and Docker's packages."""
    system.security_updates(
        name="Security updates",
        adopt=settings.adopt,
        present=settings.system_security_updates,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )


def repair(settings: Settings) -> None:
    """Restart failed services of gpuhost, and restore owners and modes of its files."""
    system_upkeep.services(name="Failed services", **sudo_args(settings))
    proxy = is_declared(settings)
    system_upkeep.files(name="Owners and modes", proxy=proxy, **sudo_args(settings))


def remove(settings: Settings) -> None:
    """Remove gpuhost's configuration of security updates; repairs stay."""
    system.security_updates(name="Security updates", present=False, **sudo_args(settings))
