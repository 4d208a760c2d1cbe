"""nginx on the host: the packages that an app needs and that are missing."""

from __future__ import annotations

from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.units import Unit


def missing_packages(snapshot: Snapshot, *, certificates: bool) -> tuple[str, ...]:
    """Packages that are not installed.

    + certificates: certbot is needed too
    """
    versions = {
        "nginx": snapshot.nginx.version,
        **({"certbot": snapshot.nginx.certbot} if certificates else {}),
    }
    return tuple(name for name, version in versions.items() if version is None)


def is_up(unit: Unit) -> bool:
    """Whether it runs, and starts at boot."""
    return unit.active and unit.enabled
