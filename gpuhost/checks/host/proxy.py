"""The HTTP proxy: for apt, for the engine, and for builds and containers."""

from __future__ import annotations

import hashlib
import json

from gpuhost.checks.finding import Status, Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.proxy import EngineProxy, taken_from_engine

APT_FILE = "/etc/apt/apt.conf.d/60gpuhost-proxy"
ENGINE_DROPIN = "/etc/systemd/system/docker.service.d/gpuhost-proxy.conf"
ENGINE_FILE = "/etc/gpuhost/docker-proxy.env"
CLIENT_FILE = "/root/.docker/config.json"
# Any user may ask systemd for a unit's environment, but not for the content of this file.
DROPIN_TEXT = f"# Written by gpuhost.\n[Service]\nEnvironmentFile={ENGINE_FILE}\n"
# URLs may hold a password. apt and systemd read these as root.
MODES = {APT_FILE: "0600", ENGINE_FILE: "0600", ENGINE_DROPIN: "0644"}

RESTART = "systemctl restart docker; the deploy does it where `docker_restart` lets it"
OTHERWISE = (
    "systemctl restart docker; if that does not help, something else sets a proxy: see "
    "`systemctl cat docker` and `proxies` in /etc/docker/daemon.json"
)


def declared_at_all(settings: Settings) -> bool:
    return bool(settings.proxy_http or settings.proxy_https)


def apt_text(settings: Settings) -> str:
    """apt.conf(5): a proxy per scheme; apt knows no networks, so only hosts are excepted."""
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
    """What goes under proxies.default in root's config.json; "": the key is not there."""
    if not declared_at_all(settings):
        return {"httpProxy": "", "httpsProxy": "", "noProxy": ""}
    return {
        "httpProxy": settings.proxy_http or "",
        "httpsProxy": settings.proxy_https or "",
        "noProxy": ",".join(settings.proxy_no),
    }


def client_digest(settings: Settings) -> str:
    """The digest that the collector makes of the same three keys."""
    return hashlib.sha256(json.dumps(client_values(settings), sort_keys=True).encode()).hexdigest()


def expected_files(settings: Settings) -> dict[str, str]:
    """Every file of ours with its content; none when no proxy is declared."""
    if not declared_at_all(settings):
        return {}
    return {
        APT_FILE: apt_text(settings),
        ENGINE_FILE: engine_text(settings),
        ENGINE_DROPIN: DROPIN_TEXT,
    }


def wrong_files(snapshot: Snapshot, settings: Settings, *paths: str) -> list[str]:
    """Those of our files that are not as declared: missing, changed, too open, or left behind."""
    expected = expected_files(settings)
    return [path for path in paths if not _is_right(snapshot, path, expected.get(path))]


def _is_right(snapshot: Snapshot, path: str, content: str | None) -> bool:
    state = snapshot.paths.get(path)
    if content is None or state is None:
        return content is None and state is None
    if state.sha256 is None:
        raise NotRead(f"{path}: only root can read it")
    digest = hashlib.sha256(content.encode()).hexdigest()
    return (state.sha256, state.mode, state.owner) == (digest, MODES[path], "root")


def _judge(snapshot: Snapshot, settings: Settings, *paths: str) -> Verdict:
    wrong = wrong_files(snapshot, settings, *paths)
    if declared_at_all(settings):
        if not wrong:
            return ok("as declared")
        return fail(
            "the declared proxy", f"not so in {', '.join(wrong)}", fix="run the deploy again"
        )
    if not wrong:
        return skip("no proxy is declared")
    return fail("no proxy", f"left behind: {', '.join(wrong)}", fix="run the deploy again")


@check("proxy.apt", "apt goes through the declared proxy.")
def apt(snapshot: Snapshot, settings: Settings) -> Verdict:
    return _judge(snapshot, settings, APT_FILE)


@check("proxy.engine", "The engine pulls through the declared proxy.")
def engine(snapshot: Snapshot, settings: Settings) -> Verdict:
    on_disk = _judge(snapshot, settings, ENGINE_FILE, ENGINE_DROPIN)
    running = EngineProxy.running(snapshot.probes)
    if running is None or on_disk.status is Status.FAIL:
        return on_disk
    wanted = _of_engine(settings)
    if engine_is_behind(snapshot):
        judge = warn if settings.docker_restart == "never" else fail
        found = f"the engine started before the change, with {running}"
        return judge(f"{wanted}", found, fix=RESTART)
    if declared_at_all(settings) and running != wanted:
        return fail(f"{wanted}", f"the engine runs with {running}", fix=OTHERWISE)
    return on_disk


def _of_engine(settings: Settings) -> EngineProxy:
    if not declared_at_all(settings):
        return EngineProxy("", "", "")
    return EngineProxy.of(settings.proxy_http, settings.proxy_https, settings.proxy_no)


def engine_is_behind(snapshot: Snapshot) -> bool:
    """The engine runs and started before its proxy changed, or was taken away.

    `docker.live` says so too, and the deploy restarts the engine for it.
    """
    started = snapshot.docker.service.started
    if started is None:
        return False
    states = [snapshot.paths.get(path) for path in (ENGINE_FILE, ENGINE_DROPIN)]
    return any(state.modified > started for state in states if state) or _keeps_what_is_gone(
        snapshot, started
    )


def _keeps_what_is_gone(snapshot: Snapshot, started: int) -> bool:
    taken, running = taken_from_engine(snapshot.probes), EngineProxy.running(snapshot.probes)
    if taken is None or running is None:
        return False
    return started <= taken and bool(running.http or running.https)


@check("proxy.client", "Builds and containers of root get the declared proxy.")
def client(snapshot: Snapshot, settings: Settings) -> Verdict:
    found = snapshot.client_proxy
    if declared_at_all(settings):
        if found.digest == client_digest(settings):
            return ok("as declared")
        return fail("the declared proxy", f"not so in {CLIENT_FILE}", fix="run the deploy again")
    if found.recorded is not None and found.digest == found.recorded:
        return fail("no proxy", f"left behind in {CLIENT_FILE}", fix="run the deploy again")
    return skip("no proxy is declared")
