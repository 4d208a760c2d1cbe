"""The HTTP proxy: for apt, for the engine, and for builds and containers."""

from __future__ import annotations

from gpuhost.checks.finding import Status, Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.plans.proxy import (
    APT_FILE,
    CLIENT_FILE,
    ENGINE_DROPIN,
    ENGINE_FILE,
    client_digest,
    declared_engine_proxy,
    engine_is_behind,
    is_declared,
    wrong_files,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.proxy import EngineProxy

RESTART = "systemctl restart docker; the deploy does it if `docker_restart` allows it"
OTHERWISE = (
    "systemctl restart docker; if that does not help, something else sets a proxy: see "
    "`systemctl cat docker` and `proxies` in /etc/docker/daemon.json"
)


def _judge(snapshot: Snapshot, settings: Settings, *paths: str) -> Verdict:
    differing = wrong_files(snapshot, settings, *paths)
    if is_declared(settings):
        if not differing:
            return ok("as declared")
        return fail("the declared proxy", f"differs in {', '.join(differing)}", fix=AGAIN)
    if not differing:
        return skip("no proxy is declared")
    return fail("no proxy", f"left behind: {', '.join(differing)}", fix=AGAIN)


@check("proxy.apt", "apt uses the declared proxy.")
def apt(snapshot: Snapshot, settings: Settings) -> Verdict:
    return _judge(snapshot, settings, APT_FILE)


@check("proxy.engine", "The engine uses the declared proxy.")
def engine(snapshot: Snapshot, settings: Settings) -> Verdict:
    on_disk = _judge(snapshot, settings, ENGINE_FILE, ENGINE_DROPIN)
    running = EngineProxy.running(snapshot.probes)
    if running is None or on_disk.status is Status.FAIL:
        return on_disk
    declared = declared_engine_proxy(settings)
    if engine_is_behind(snapshot):
        judge = warn if settings.docker_restart == "never" else fail
        actual = f"the engine started before the change, with {running}"
        return judge(f"{declared}", actual, fix=RESTART)
    if is_declared(settings) and running != declared:
        return fail(f"{declared}", f"the engine runs with {running}", fix=OTHERWISE)
    return on_disk


@check("proxy.client", "Builds and containers of root use the declared proxy.")
def client(snapshot: Snapshot, settings: Settings) -> Verdict:
    client_proxy = snapshot.client_proxy
    if is_declared(settings):
        if client_proxy.digest == client_digest(settings):
            return ok("as declared")
        return fail("the declared proxy", f"differs in {CLIENT_FILE}", fix=AGAIN)
    if client_proxy.recorded is not None and client_proxy.digest == client_proxy.recorded:
        return fail("no proxy", f"left behind in {CLIENT_FILE}", fix=AGAIN)
    return skip("no proxy is declared")
