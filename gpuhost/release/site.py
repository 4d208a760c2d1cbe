"""nginx.conf: the site of one app, for the host's nginx or for one in a container of the app."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.appfile.app import App
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.location import split_location
from gpuhost.appfile.nginx import Nginx, PathOptions
from gpuhost.domain.rendering import render
from gpuhost.release.mounts import container_path
from gpuhost.release.ports import BadPort, parse_ports
from gpuhost.snapshot import NotRead, Snapshot

HOST_SITES = "/etc/nginx/conf.d"
HOST_TLS = "/etc/gpuhost/tls"
HOST_CHALLENGES = "/var/lib/gpuhost/acme"
# Beside the file that a container's nginx reads.
TLS_DIRECTORY = "tls"
ANY_NAME = "_"
# Programs that listen on whatever the host has, as soon as it is up.
ON_EVERY_ADDRESS = re.compile(r'\s(?:\[::\]|\*):\d+\s.*\("(?:sshd|systemd|nginx)"')


@dataclass(frozen=True)
class SitePaths:
    """Where the site's files are: as the runner sees them, and as nginx does.

    + file, certificates: absolute, or relative to the project directory
    + seen: certificates, as nginx sees them
    """

    file: str
    certificates: str
    seen: str


@dataclass(frozen=True)
class Limit:
    """A limit_req line. zone: its memory, by name; burst: 0: none."""

    zone: str
    burst: int


@dataclass(frozen=True)
class Zone:
    name: str
    rate: int


@dataclass(frozen=True)
class Location:
    """match: as nginx has it; what is None or "" is as in the whole site."""

    match: str
    upstream: str
    limit: Limit | None = None
    timeout_s: int | None = None
    max_body: str = ""
    websocket: bool = False
    cache_s: int | None = None


def render_site(app: App, *, ipv6: bool = False) -> str | None:
    """The site's text, the same for the same app; None for an app without nginx.

    + ipv6: the host has IPv6, where an address of it can be listened on

    Raises BadApp.
    """
    declared = app.block.nginx
    if declared is None:
        return None
    name = nginx_name(app.name)
    paths = site_paths(app)
    return render(
        "nginx/site.conf.j2",
        app=app.name,
        site=declared,
        name=name,
        paths=paths,
        names=" ".join(_server_name(one) for one in declared.server_names),
        in_docker=declared.where == "container",
        ipv6=ipv6 and declared.where == "host",
        zones=list(_zones(declared, name)),
        limit=_limit(f"{name}_site", declared.rate_per_s, declared.burst),
        locations=list(_locations(declared, name)),
        acme=declared.tls is not None and declared.tls.kind == "acme",
        host=_host_header(declared),
        quoted=_quoted,
        challenges=HOST_CHALLENGES,
        https_port=public_port(app, declared.tls_port) or declared.tls_port,
    )


def has_ipv6(snapshot: Snapshot) -> bool:
    """Whether the host has IPv6: then something that listens everywhere listens there too."""
    try:
        return ON_EVERY_ADDRESS.search(snapshot.probes.output("listeners")) is not None
    except NotRead:
        return False


def site_paths(app: App) -> SitePaths:
    """Raises BadApp: the container's nginx cannot see the file, or what has to lie beside it."""
    declared = app.block.nginx
    if declared and declared.tls and declared.port == declared.tls_port:
        raise _bad(app, f"port and tls_port are both {declared.port}")
    if declared is None or declared.config is None or declared.service is None:
        certificates = f"{HOST_TLS}/{app.name}"
        return SitePaths(f"{HOST_SITES}/gpuhost-{app.name}.conf", certificates, certificates)
    if declared.tls and declared.tls.kind == "acme":
        raise _bad(app, "acme is for the host's nginx; give files or self-signed, or where: host")
    beside = posixpath.dirname(declared.config)
    certificates = posixpath.join(beside, TLS_DIRECTORY)
    volumes = app.compose.services[declared.service].volumes
    seen = {path: container_path(path, volumes) for path in (declared.config, certificates)}
    for path in (declared.config, *((certificates,) if declared.tls else ())):
        if seen[path] is None:
            raise _bad(
                app,
                f"service {declared.service} mounts no directory that {path} is in; "
                f"mount ./{beside or '.'}",
            )
    return SitePaths(declared.config, certificates, seen[certificates] or "")


def _bad(app: App, said: str) -> BadApp:
    return BadApp([f"{app.path}: x-gpuhost.nginx: {said}"])


def public_port(app: App, port: int) -> int | None:
    """Where the world finds a port of the site; None for a container's port that is not published.

    Raises BadApp.
    """
    declared = app.block.nginx
    if declared is None or declared.service is None:
        return port
    return next(
        (min(ports) for ports in published_ports(app, declared.service, port) if ports), None
    )


def published_ports(app: App, service: str, port: int) -> Iterator[frozenset[int]]:
    """The host's ports that lead to one of a service's. Raises BadApp."""
    try:
        entries = parse_ports(service, app.compose.services[service].ports)
    except BadPort as error:
        raise BadApp([f"{app.path}: {error}"]) from None
    for one in entries:
        if one.host and one.container.partition("/")[0] == str(port):
            yield one.ports


def nginx_name(app: str) -> str:
    """A name for nginx's variables and zones that no other app has."""
    if "_" not in app:
        return app.replace("-", "_")
    return f"{app.replace('-', '_')}_{hashlib.sha256(app.encode()).hexdigest()[:8]}"


def _server_name(name: str) -> str:
    # "_" is what such a site is called, and a name like any other; the expression matches every
    # name, where another site is the port's default too.
    return "_ ~^" if name == ANY_NAME else name


def _host_header(declared: Nginx) -> str:
    usual = declared.tls_port == 443 if declared.tls else declared.port == 80
    # The port that the world asks is in $http_host alone; clients of HTTP/1.0 do not send that one.
    return "$host" if usual and declared.where == "host" else "$http_host"


def _zones(declared: Nginx, name: str) -> Iterator[Zone]:
    if declared.rate_per_s:
        yield Zone(f"{name}_site", declared.rate_per_s)
    for index, at in enumerate(declared.paths.values()):
        if at.rate_per_s:
            yield Zone(_zone(name, index), at.rate_per_s)


def _zone(name: str, index: int) -> str:
    return f"{name}_{index}"


def _limit(zone: str, rate: int | None, burst: int) -> Limit | None:
    return Limit(zone, burst) if rate else None


def _locations(declared: Nginx, name: str) -> Iterator[Location]:
    for index, (where, at) in enumerate(declared.paths.items()):
        yield _location(where, at, index, declared, name)
        if twin := _twin(where, declared):
            yield _location(twin, at, index, declared, name)
    if not {"/", "^~ /"} & set(declared.paths):
        yield Location(_match("/"), declared.upstream)


def _location(where: str, at: PathOptions, index: int, declared: Nginx, name: str) -> Location:
    limit = _limit(_zone(name, index), at.rate_per_s, at.burst)
    if limit is None and "burst" in at.model_fields_set:
        limit = _limit(f"{name}_site", declared.rate_per_s, at.burst)
    return Location(
        _match(where),
        at.upstream or declared.upstream,
        limit,
        at.timeout_s,
        at.max_body or "",
        at.websocket,
        at.cache_s,
    )


def _match(where: str) -> str:
    modifier, path = split_location(where)
    return f"{modifier} {_quoted(path)}" if modifier else _quoted(path)


def _quoted(text: str) -> str:
    # In quotes too nginx takes a backslash for an escape, and a regular expression has some.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _twin(where: str, declared: Nginx) -> str | None:
    """ "/api/" does not match "/api": nginx would redirect there, which turns a POST into a GET."""
    modifier, path = split_location(where)
    short = path.rstrip("/")
    if modifier not in ("", "^~") or not path.endswith("/") or not short:
        return None
    taken = {split_location(other) for other in declared.paths}
    return None if taken & {("=", short), ("", short), ("^~", short)} else f"= {short}"
