"""apt-cacher-ng on docker0, so that a Dockerfile that says nothing gets packages from the mirrors.

Every RUN knows `http_proxy` without an ARG. apt goes by it; programs that read `NO_PROXY` do not go
through the cache, because apt does not read that name in capitals. What remains, wget above all, is
passed on by the cache to port 80 of other servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resources

from gpuhost.domain.apt.mirrors import HOSTS, mirror_called
from gpuhost.domain.rendering import render
from gpuhost.settings import Settings
from gpuhost.snapshot.request import Request

PACKAGE = "apt-cacher-ng"
UNIT = "apt-cacher-ng.service"
PORT = 3142
EARLY = "/etc/apt-cacher-ng/00_gpuhost.conf"
LATE = "/etc/apt-cacher-ng/zzz_gpuhost.conf"
DROPIN = "/etc/systemd/system/apt-cacher-ng.service.d/gpuhost.conf"
SCRIPT = "/etc/gpuhost/build/order-mirrors"
MIRRORS = "/etc/gpuhost/build/mirrors"
# Written by the script, for the archive of that name.
SECURITY_LIST = "/etc/apt-cacher-ng/backends_gpuhost_security"
PATHS = (EARLY, LATE, DROPIN, SCRIPT, MIRRORS)
ESSENTIAL = ("Release", ".deb", ".xz", *"0123456789abcdef")


@dataclass(frozen=True)
class File:
    """One file as it has to be."""

    text: str
    mode: str = "0644"


def is_wanted(settings: Settings) -> bool:
    """Whether builds go through the cache; where a proxy is declared they go through that one."""
    if settings.proxy_http or settings.proxy_https:
        return False
    if settings.build_apt_cache == "auto":
        return settings.apt_mirror is not None
    return settings.build_apt_cache


def mirrors(settings: Settings) -> tuple[str, ...]:
    """Servers that carry the archives, in the order in which they are tried."""
    if settings.apt_mirror is None:
        return ()
    several = settings.apt_mirror == "auto"
    names = settings.apt_mirror_candidates if several else (settings.apt_mirror,)
    # apt checks signatures itself; a known mirror needs no certificates to be there.
    return tuple(mirror_called(name, https=name not in HOSTS).base for name in names)


def files(settings: Settings, address: str) -> dict[str, File]:
    """Every file of ours, by path.

    + address: of docker0
    """
    keyfiles = " ".join(f"keyfile={end}" for end in ESSENTIAL)
    return {
        EARLY: File(
            render("apt-cacher-ng/00_gpuhost.conf.j2", security=settings.apt_mirror_security)
        ),
        LATE: File(
            render(
                "apt-cacher-ng/zzz_gpuhost.conf.j2", address=address, port=PORT, keyfiles=keyfiles
            )
        ),
        DROPIN: File(render("apt-cacher-ng/service.conf.j2", script=SCRIPT, address=address)),
        SCRIPT: File(_script(), "0755"),
        MIRRORS: File("".join(f"{base}\n" for base in mirrors(settings))),
    }


@cache
def _script() -> str:
    return resources("gpuhost.plans").joinpath("order_mirrors.py").read_text(encoding="utf-8")


def request(settings: Settings) -> Request:
    return Request(managed=PATHS)
