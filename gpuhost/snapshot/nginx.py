"""nginx on the host, and whether apps need it."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain import host_json
from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import Request
from gpuhost.snapshot.units import Unit, read_unit

RECORD = "/var/lib/gpuhost/nginx.json"
PACKAGE, UNIT = "nginx", "nginx.service"
CERTBOT, RENEWAL = "certbot", "certbot.timer"
REQUEST = Request(files=(RECORD,), packages=(PACKAGE, CERTBOT), units=(UNIT, RENEWAL))


@dataclass(frozen=True)
class Nginx:
    """+ version: of the package, None if it is not installed; certbot: the same
    + needed: an app on this host needs nginx; certificates: it needs certbot too
    """

    version: str | None
    service: Unit
    certbot: str | None
    renewal: Unit
    needed: bool
    certificates: bool

    @classmethod
    def read(cls, probes: Probes) -> Nginx:
        packages = installed_packages(probes)
        record = _record(probes.file(RECORD))
        return cls(
            packages.get(PACKAGE),
            read_unit(probes, UNIT),
            packages.get(CERTBOT),
            read_unit(probes, RENEWAL),
            record is not None,
            bool(record and record.get("certbot")),
        )


def _record(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        value = host_json.parse(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
