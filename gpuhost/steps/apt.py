"""The distribution's packages, from a mirror that is near."""

from __future__ import annotations

from gpuhost.operations import apt, repository
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def ready(declared: Settings) -> None:
    """The declared mirror, or the original sources. Before anything is installed."""
    repository.usable(name="Repositories that apt can use", declared=declared, **elevated(declared))
    apt.mirror(
        name="Package sources",
        mirror=declared.apt_mirror,
        security=declared.apt_mirror_security,
        candidates=declared.apt_mirror_candidates,
        max_age_days=declared.apt_mirror_max_age_days,
        lock_timeout_s=declared.apt_lock_timeout_s,
        **elevated(declared),
    )


def removed(declared: Settings) -> None:
    """The sources as they were before gpuhost."""
    apt.mirror(
        name="Original package sources",
        mirror=None,
        lock_timeout_s=declared.apt_lock_timeout_s,
        **elevated(declared),
    )
