"""The apt cache that image builds use."""

from __future__ import annotations

from gpuhost.operations import build
from gpuhost.plans.apt_cache import is_declared
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def apply(settings: Settings) -> None:
    """Install the cache if it is declared; otherwise remove it. The engine must run."""
    names = settings.apt_mirror_candidates
    if settings.apt_mirror != "auto":
        names = (settings.apt_mirror,) if settings.apt_mirror else ()
    build.apt_cache(
        name="apt cache for builds",
        mirrors=names,
        security=settings.apt_mirror_security,
        adopt=settings.adopt,
        present=is_declared(settings),
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )


def remove(settings: Settings) -> None:
    """Remove the cache and the cached packages."""
    build.apt_cache(name="apt cache for builds removed", present=False, **sudo_args(settings))
