"""nginx as the host has it, and what apps need of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from gpuhost.snapshot.docker import Unit, installed_packages, read_units
from gpuhost.snapshot.probes import Probes

RECORD = "/var/lib/gpuhost/nginx.json"


@dataclass(frozen=True)
class Nginx:
    """+ version: of the package, None if it is not installed; certbot: the same
    + needed: an app was released here that needs it; certificates: and certbot too
    """

    version: str | None
    service: Unit
    certbot: str | None
    renewal: Unit
    needed: bool
    certificates: bool

    @classmethod
    def read(cls, probes: Probes) -> Nginx:
        packages, units = installed_packages(probes), read_units(probes)
        record = _record(probes.file(RECORD))
        return cls(
            packages.get("nginx"),
            units.get("nginx.service", _missing("nginx.service")),
            packages.get("certbot"),
            units.get("certbot.timer", _missing("certbot.timer")),
            record is not None,
            bool(record and record.get("certbot")),
        )


def _missing(name: str) -> Unit:
    return Unit(name, False, False, False, None)


def _record(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
