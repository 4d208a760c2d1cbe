"""What builds use, once the engine runs."""

from __future__ import annotations

from gpuhost.operations import build
from gpuhost.plans.apt_cache import is_declared
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def ready(settings: Settings) -> None:
    """apt inside builds goes through a cache, if mirrors are declared; else there is none."""
    names = settings.apt_mirror_candidates
    if settings.apt_mirror != "auto":
        names = (settings.apt_mirror,) if settings.apt_mirror else ()
    build.apt_cache(
        name="apt cache for builds",
        mirrors=names,
        security=settings.apt_mirror_security,
        present=is_declared(settings),
        adopt=settings.adopt,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )


def removed(settings: Settings) -> None:
    """No apt cache; packages that were cached are gone with it."""
    build.apt_cache(name="apt cache for builds removed", present=False, **sudo_args(settings))
