"""The HTTP proxy: for apt, for the engine, and for builds and containers."""

from __future__ import annotations

from gpuhost.checks.finding import Status, Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.plans.proxy import (
    APT_FILE,
    CLIENT_FILE,
    ENGINE_DROPIN,
    ENGINE_FILE,
    client_digest,
    engine_is_behind,
    engine_values,
    is_declared,
    wrong_files,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.proxy import EngineProxy

RESTART = "systemctl restart docker; the deploy does it where `docker_restart` lets it"
OTHERWISE = (
    "systemctl restart docker; if that does not help, something else sets a proxy: see "
    "`systemctl cat docker` and `proxies` in /etc/docker/daemon.json"
)


def _judge(snapshot: Snapshot, settings: Settings, *paths: str) -> Verdict:
    wrong = wrong_files(snapshot, settings, *paths)
    if is_declared(settings):
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
    wanted = engine_values(settings)
    if engine_is_behind(snapshot):
        judge = warn if settings.docker_restart == "never" else fail
        found = f"the engine started before the change, with {running}"
        return judge(f"{wanted}", found, fix=RESTART)
    if is_declared(settings) and running != wanted:
        return fail(f"{wanted}", f"the engine runs with {running}", fix=OTHERWISE)
    return on_disk


@check("proxy.client", "Builds and containers of root get the declared proxy.")
def client(snapshot: Snapshot, settings: Settings) -> Verdict:
    found = snapshot.client_proxy
    if is_declared(settings):
        if found.digest == client_digest(settings):
            return ok("as declared")
        return fail("the declared proxy", f"not so in {CLIENT_FILE}", fix="run the deploy again")
    if found.recorded is not None and found.digest == found.recorded:
        return fail("no proxy", f"left behind in {CLIENT_FILE}", fix="run the deploy again")
    return skip("no proxy is declared")
