"""apt-cacher-ng on docker0: builds get packages from the mirrors, without a change of a Dockerfile.

Every RUN has `http_proxy` without an ARG, and apt uses it, for HTTPS archives too: as a tunnel,
which the cache passes on to port 443. Programs that read `NO_PROXY` do not use the cache; apt does
not read that name in capitals. The cache forwards the requests of all other programs, such as wget,
to port 80 of their servers.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from gpuhost.domain.apt.mirrors import ALL_HOSTS, HOSTS, Archive, Mirror, mirror_called
from gpuhost.domain.rendering import render
from gpuhost.plans.host_file import HostFile
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
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
PLAIN = re.compile(r"http://[^:/@]+(?:/|$)")
ESSENTIAL = ("Release", ".deb", ".xz", *"0123456789abcdef")


def is_declared(settings: Settings) -> bool:
    """Whether builds use the cache; with a declared proxy they use the proxy."""
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
    # apt checks signatures itself; a known mirror needs no certificates.
    return tuple(mirror_called(name, https=name not in HOSTS).base for name in names)


def _named_in_dockerfiles(settings: Settings, archive: Archive) -> str:
    """URLs of an archive that the cache answers from any mirror, separated by spaces.

    Every mirror that `apt_mirror` can name, not only the declared ones: a Dockerfile may name
    another, which may be the one that does not answer. Without a declared mirror: none.
    """
    declared = mirrors(settings)
    if not declared:
        return ""
    bases = [f"http://{host}" for host in ALL_HOSTS]
    # HTTPS is passed on as it is, and the cache refuses ports other than 80.
    bases += [base for base in declared if PLAIN.match(base)]
    return " ".join(Mirror(base, base).uri(archive) for base in dict.fromkeys(bases))


def host_files(settings: Settings, address: str) -> tuple[HostFile, ...]:
    """Every file that gpuhost writes for the cache.

    + address: of docker0
    """
    keyfiles = " ".join(f"keyfile={end}" for end in ESSENTIAL)
    early = render("apt-cacher-ng/00_gpuhost.conf.j2", security=settings.apt_mirror_security)
    late = render(
        "apt-cacher-ng/zzz_gpuhost.conf.j2",
        address=address,
        port=PORT,
        keyfiles=keyfiles,
        debian=_named_in_dockerfiles(settings, "debian"),
        ubuntu=_named_in_dockerfiles(settings, "ubuntu"),
        security=_named_in_dockerfiles(settings, "debian-security"),
    )
    dropin = render("apt-cacher-ng/service.conf.j2", script=SCRIPT, address=address)
    return (
        HostFile(EARLY, early),
        HostFile(LATE, late),
        HostFile(DROPIN, dropin),
        HostFile(SCRIPT, _script(), "0755"),
        HostFile(MIRRORS, "".join(f"{base}\n" for base in mirrors(settings))),
    )


@cache
def _script() -> str:
    return files("gpuhost.plans").joinpath("order_mirrors.py").read_text(encoding="utf-8")


def build_proxy(settings: Settings, snapshot: Snapshot) -> str | None:
    """The URL of the cache for apt inside builds; None: builds do not use it."""
    if not is_declared(settings) or snapshot.build.gateway is None:
        return None
    return f"http://{snapshot.build.gateway}:{PORT}"


def build_arguments(settings: Settings, snapshot: Snapshot) -> dict[str, str]:
    """Build arguments that every RUN knows without an ARG; no image keeps them."""
    proxy = build_proxy(settings, snapshot)
    # apt reads no_proxy in lower case only; curl, pip, git and others bypass the cache.
    return {"http_proxy": proxy, "NO_PROXY": "*"} if proxy else {}


def wrong_files(snapshot: Snapshot, settings: Settings) -> list[HostFile]:
    """Files of the cache that are missing, changed, or have another owner or mode."""
    assert snapshot.build.gateway is not None
    files = host_files(settings, snapshot.build.gateway)
    return [file for file in files if not file.is_on(snapshot)]


def leftover_files(snapshot: Snapshot) -> list[str]:
    """Our files that still exist."""
    return [path for path in PATHS if snapshot.paths.get(path) is not None]


def is_stale(snapshot: Snapshot) -> bool:
    """Whether it started before its files changed."""
    started = snapshot.build.service.started
    states = [snapshot.paths.get(path) for path in PATHS]
    return started is not None and any(state.modified > started for state in states if state)


def request(settings: Settings) -> Request:
    return Request(managed=PATHS)
