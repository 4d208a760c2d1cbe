"""The distribution's packages, from a nearby mirror."""

from __future__ import annotations

from gpuhost.operations import apt, repository
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def apply(settings: Settings) -> None:
    """Use the declared mirror, or restore the original sources. Run it before any installation."""
    repository.drop_broken(name="Broken repositories", adopt=settings.adopt, **sudo_args(settings))
    apt.mirror(
        name="Package sources",
        mirror=settings.apt_mirror or "auto",
        security=settings.apt_mirror_security,
        candidates=settings.apt_mirror_candidates,
        max_age_days=settings.apt_mirror_max_age_days,
        present=settings.apt_mirror is not None,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )


def remove(settings: Settings) -> None:
    """Restore the original sources."""
    apt.mirror(
        name="Original package sources",
        present=False,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )
