"""nginx.conf: the site of one app, for the host's nginx or an nginx container of the app."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.mounts import container_path
from gpuhost.appfile.compose.short_forms import BadPort, PublishedPort
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.location import split_location
from gpuhost.appfile.nginx import Nginx, PathOptions
from gpuhost.domain.rendering import render
from gpuhost.snapshot import NotRead, Snapshot

HOST_SITES = "/etc/nginx/conf.d"
HOST_TLS = "/etc/gpuhost/tls"
HOST_CHALLENGES = "/var/lib/gpuhost/acme"
# In the directory of the file that a container's nginx reads.
TLS_DIRECTORY = "tls"
ANY_NAME = "_"
# Programs that listen on all addresses of the host.
ON_EVERY_ADDRESS = re.compile(r'\s(?:\[::\]|\*):\d+\s.*\("(?:sshd|systemd|nginx)"')


@dataclass(frozen=True)
class SitePaths:
    """Paths of the site's files.

    + file, certificates: absolute, or relative to the project directory
    + nginx_certificates: the same directory, as nginx sees it
    """

    file: str
    certificates: str
    nginx_certificates: str


@dataclass(frozen=True)
class Limit:
    """A limit_req line. burst: 0 for none."""

    zone: str
    burst: int


@dataclass(frozen=True)
class Zone:
    name: str
    rate: int


@dataclass(frozen=True)
class Location:
    """match: in nginx's syntax; None and "": the value of the site."""

    match: str
    upstream: str
    limit: Limit | None = None
    timeout_s: int | None = None
    max_body: str = ""
    websocket: bool = False
    cache_s: int | None = None


def render_site(app: App, *, ipv6: bool = False) -> str | None:
    """The site's text, the same for the same app; None for an app without nginx.

    + ipv6: the host has IPv6, so nginx can listen on it

    Raises BadApp.
    """
    site = app.block.nginx
    if site is None:
        return None
    name = nginx_name(app.name)
    paths = site_paths(app)
    return render(
        "nginx/site.conf.j2",
        app=app.name,
        site=site,
        name=name,
        paths=paths,
        names=" ".join(_server_name(one) for one in site.server_names),
        in_docker=site.where == "container",
        ipv6=ipv6 and site.where == "host",
        zones=list(_zones(site, name)),
        limit=_limit(f"{name}_site", site.rate_per_s, site.burst),
        locations=list(_locations(site, name)),
        acme=site.tls is not None and site.tls.kind == "acme",
        host=_host_header(site),
        quoted=_quoted,
        challenges=HOST_CHALLENGES,
        https_port=public_port(app, site.tls_port) or site.tls_port,
    )


def has_ipv6(snapshot: Snapshot) -> bool:
    """Whether the host has IPv6: then a program that listens on all addresses has an IPv6 one."""
    try:
        return ON_EVERY_ADDRESS.search(snapshot.probes.output("listeners")) is not None
    except NotRead:
        return False


def site_paths(app: App) -> SitePaths:
    """Raises BadApp: the nginx container does not mount the file or its certificates."""
    site = app.block.nginx
    if site and site.tls and site.port == site.tls_port:
        raise _error(app, f"port and tls_port are both {site.port}; use two ports")
    if site is None or site.config is None or site.service is None:
        certificates = f"{HOST_TLS}/{app.name}"
        return SitePaths(f"{HOST_SITES}/gpuhost-{app.name}.conf", certificates, certificates)
    if site.tls and site.tls.kind == "acme":
        raise _error(app, "acme needs the host's nginx; use files or self-signed, or where: host")
    directory = posixpath.dirname(site.config)
    certificates = posixpath.join(directory, TLS_DIRECTORY)
    mounts = app.compose.services[site.service].mounts
    mounted = {path: container_path(path, mounts) for path in (site.config, certificates)}
    for path in (site.config, *((certificates,) if site.tls else ())):
        if mounted[path] is None:
            raise _error(
                app,
                f"service {site.service} does not mount a directory with {path}; "
                f"mount ./{directory or '.'}",
            )
    return SitePaths(site.config, certificates, mounted[certificates] or "")


def _error(app: App, message: str) -> BadApp:
    return BadApp([f"{app.path}: x-gpuhost.nginx: {message}"])


def public_port(app: App, port: int) -> int | None:
    """The host's port of the site; None for a container's port that is not published.

    Raises BadApp.
    """
    site = app.block.nginx
    if site is None or site.service is None:
        return port
    return next((min(ports) for ports in published_ports(app, site.service, port) if ports), None)


def published_ports(app: App, service: str, port: int) -> Iterator[frozenset[int]]:
    """The host's ports for a port of a service. Raises BadApp."""
    try:
        ports = [PublishedPort.parse(entry) for entry in app.compose.services[service].ports]
    except BadPort as error:
        raise BadApp([f"{app.path}: services.{service}.ports: {error}"]) from None
    for one in ports:
        if one.host and one.container == str(port):
            yield one.ports


def nginx_name(app: str) -> str:
    """A name for nginx's variables and zones, unique to the app."""
    if "_" not in app:
        return app.replace("-", "_")
    return f"{app.replace('-', '_')}_{hashlib.sha256(app.encode()).hexdigest()[:8]}"


def _server_name(name: str) -> str:
    # "_" is a name like any other; the expression matches every name, also where another site
    # is the default server of the port.
    return "_ ~^" if name == ANY_NAME else name


def _host_header(site: Nginx) -> str:
    usual = site.tls_port == 443 if site.tls else site.port == 80
    # Only $http_host has the public port; clients of HTTP/1.0 do not send it.
    return "$host" if usual and site.where == "host" else "$http_host"


def _zones(site: Nginx, name: str) -> Iterator[Zone]:
    if site.rate_per_s:
        yield Zone(f"{name}_site", site.rate_per_s)
    for index, at in enumerate(site.paths.values()):
        if at.rate_per_s:
            yield Zone(_zone(name, index), at.rate_per_s)


def _zone(name: str, index: int) -> str:
    return f"{name}_{index}"


def _limit(zone: str, rate: int | None, burst: int) -> Limit | None:
    return Limit(zone, burst) if rate else None


def _locations(site: Nginx, name: str) -> Iterator[Location]:
    for index, (where, at) in enumerate(site.paths.items()):
        yield _location(where, at, index, site, name)
        if exact := _without_slash(where, site):
            yield _location(exact, at, index, site, name)
    if not {"/", "^~ /"} & set(site.paths):
        yield Location(_match("/"), site.upstream)


def _location(where: str, at: PathOptions, index: int, site: Nginx, name: str) -> Location:
    limit = _limit(_zone(name, index), at.rate_per_s, at.burst)
    if limit is None and "burst" in at.model_fields_set:
        limit = _limit(f"{name}_site", site.rate_per_s, at.burst)
    return Location(
        _match(where),
        at.upstream or site.upstream,
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
    # Inside quotes a backslash is an escape too.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _without_slash(where: str, site: Nginx) -> str | None:
    """ "= /api" for "/api/": nginx would redirect /api, which turns a POST into a GET."""
    modifier, path = split_location(where)
    short = path.rstrip("/")
    if modifier not in ("", "^~") or not path.endswith("/") or not short:
        return None
    taken = {split_location(other) for other in site.paths}
    return None if taken & {("=", short), ("", short), ("^~", short)} else f"= {short}"
