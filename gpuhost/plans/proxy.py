"""The HTTP proxy for apt, the engine, builds and containers: its files and their content."""

from __future__ import annotations

import hashlib
import json

from gpuhost.domain.redact import mask_login
from gpuhost.plans.host_file import HostFile
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.proxy import CLIENT_FILE as CLIENT_FILE
from gpuhost.snapshot.proxy import EngineProxy, taken_from_engine
from gpuhost.snapshot.request import Request

APT_FILE = "/etc/apt/apt.conf.d/60gpuhost-proxy"
ENGINE_DROPIN = "/etc/systemd/system/docker.service.d/gpuhost-proxy.conf"
ENGINE_FILE = "/etc/gpuhost/docker-proxy.env"
# Any user may ask systemd for a unit's environment, but not for the content of this file.
DROPIN_TEXT = f"# Written by gpuhost.\n[Service]\nEnvironmentFile={ENGINE_FILE}\n"
PATHS = (APT_FILE, ENGINE_FILE, ENGINE_DROPIN)
# URLs may hold a password. apt and systemd read these files as root.
ROOT_ONLY = "0600"


def is_declared(settings: Settings) -> bool:
    return bool(settings.proxy_http or settings.proxy_https)


def apt_text(settings: Settings) -> str:
    """apt.conf(5): a proxy per scheme; apt knows no networks, so only hosts can be excluded."""
    lines = ["// Written by gpuhost."]
    for scheme, url in (("http", settings.proxy_http), ("https", settings.proxy_https)):
        if url:
            lines.append(f'Acquire::{scheme}::Proxy "{url}";')
            direct = [name for name in settings.proxy_no if _is_host(name)]
            lines += [f'Acquire::{scheme}::Proxy::{name} "DIRECT";' for name in direct]
    return "\n".join(lines) + "\n"


def _is_host(name: str) -> bool:
    return not name.startswith((".", "*")) and "/" not in name and ":" not in name


def engine_text(settings: Settings) -> str:
    """The engine's environment; single quotes, because systemd expands nothing in them."""
    values = {
        "HTTP_PROXY": settings.proxy_http,
        "HTTPS_PROXY": settings.proxy_https,
        "NO_PROXY": ",".join(settings.proxy_no),
    }
    return "".join(f"{name}='{value}'\n" for name, value in values.items() if value)


def client_values(settings: Settings) -> dict[str, str]:
    """Values of proxies.default in root's config.json; "": without this key."""
    if not is_declared(settings):
        return {"httpProxy": "", "httpsProxy": "", "noProxy": ""}
    return {
        "httpProxy": settings.proxy_http or "",
        "httpsProxy": settings.proxy_https or "",
        "noProxy": ",".join(settings.proxy_no),
    }


def client_digest(settings: Settings) -> str:
    """The digest of the same three keys, as the collector computes it."""
    return hashlib.sha256(json.dumps(client_values(settings), sort_keys=True).encode()).hexdigest()


def host_files(settings: Settings) -> dict[str, HostFile]:
    """The files that gpuhost writes, by path; none if no proxy is declared."""
    if not is_declared(settings):
        return {}
    files = (
        HostFile(APT_FILE, apt_text(settings), ROOT_ONLY),
        HostFile(ENGINE_FILE, engine_text(settings), ROOT_ONLY),
        HostFile(ENGINE_DROPIN, DROPIN_TEXT),
    )
    return {file.path: file for file in files}


def wrong_files(snapshot: Snapshot, settings: Settings, *paths: str) -> list[str]:
    """Which of gpuhost's files are missing, changed, readable by others, or left behind."""
    files = host_files(settings)
    return [path for path in paths if not _is_right(snapshot, path, files.get(path))]


def _is_right(snapshot: Snapshot, path: str, file: HostFile | None) -> bool:
    return snapshot.paths.get(path) is None if file is None else file.is_on(snapshot)


def declared_engine_proxy(settings: Settings) -> EngineProxy:
    """The declared proxy, as the engine shows it: logins are masked."""
    if not is_declared(settings):
        return EngineProxy("", "", "")
    http, https = settings.proxy_http or "", settings.proxy_https or ""
    return EngineProxy(mask_login(http), mask_login(https), ",".join(settings.proxy_no))


def engine_is_behind(snapshot: Snapshot) -> bool:
    """Whether the engine runs since before its proxy was changed or removed.

    `docker.live` reports it too, and the deploy restarts the engine.
    """
    started = snapshot.docker.service.started
    if started is None:
        return False
    states = [snapshot.paths.get(path) for path in (ENGINE_FILE, ENGINE_DROPIN)]
    return any(state.modified > started for state in states if state) or _keeps_what_is_gone(
        snapshot, started
    )


def _keeps_what_is_gone(snapshot: Snapshot, started: int) -> bool:
    removed, running = taken_from_engine(snapshot.probes), EngineProxy.running(snapshot.probes)
    if removed is None or running is None:
        return False
    return started <= removed and bool(running.http or running.https)


def request(settings: Settings) -> Request:
    return Request(managed=PATHS)
