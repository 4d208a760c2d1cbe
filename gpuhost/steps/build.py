"""What builds use, once the engine runs."""

from __future__ import annotations

from gpuhost.operations import build
from gpuhost.plans.apt_cache import is_wanted
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def ready(declared: Settings) -> None:
    """apt inside builds goes through a cache, if mirrors are declared; else there is none."""
    names = declared.apt_mirror_candidates
    if declared.apt_mirror != "auto":
        names = (declared.apt_mirror,) if declared.apt_mirror else ()
    build.apt_cache(
        name="apt cache for builds",
        mirrors=names,
        security=declared.apt_mirror_security,
        present=is_wanted(declared),
        adopt=declared.adopt,
        lock_timeout_s=declared.apt_lock_timeout_s,
        **elevated(declared),
    )


def removed(declared: Settings) -> None:
    """No apt cache; packages that were cached are gone with it."""
    build.apt_cache(name="apt cache for builds removed", present=False, **elevated(declared))
