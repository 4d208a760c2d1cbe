"""The distribution's packages, from a mirror that is near."""

from __future__ import annotations

from gpuhost.operations import apt, repository
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def ready(settings: Settings) -> None:
    """The declared mirror, or the original sources. Before anything is installed."""
    repository.usable(
        name="Repositories that apt can use", settings=settings, **sudo_args(settings)
    )
    apt.mirror(
        name="Package sources",
        mirror=settings.apt_mirror,
        security=settings.apt_mirror_security,
        candidates=settings.apt_mirror_candidates,
        max_age_days=settings.apt_mirror_max_age_days,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )


def removed(settings: Settings) -> None:
    """The sources as they were before gpuhost."""
    apt.mirror(
        name="Original package sources",
        mirror=None,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )
