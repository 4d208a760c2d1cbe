"""Other container engines on the host, and the engine's API where others reach it."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.plans.docker_listens import PLAIN, Endpoint, endpoints, relays
from gpuhost.plans.docker_packages import missing_packages
from gpuhost.plans.docker_replacing import to_stop
from gpuhost.plans.docker_socket import open_sockets
from gpuhost.plans.engines import ForeignEngine, foreign_engines
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.units import ENGINE_SOCKET


@check(
    "docker.engines",
    "No other engine uses docker0. gpuhost installs Docker beside another engine only with "
    "`adopt`.",
)
def engines(snapshot: Snapshot, settings: Settings) -> Verdict:
    others = foreign_engines(snapshot)
    if not others:
        return ok("no other engine")
    names = ", ".join(map(str, others))
    sharing = to_stop(snapshot)
    if sharing:
        return fail(
            "no second engine with docker0",
            names,
            evidence="two engines take each other's bridge and rules away",
            fix=_stopping(sharing, settings),
        )
    if settings.adopt:
        return ok(f"beside Docker: {names}")
    if snapshot.docker.engine and any(engine.kind == "docker" for engine in others):
        fix = "stop it, or give it a bridge, a socket and a data-root of its own and set adopt=True"
        return warn("no second engine", names, fix=fix)
    if not missing_packages(snapshot, settings):
        return ok(f"beside Docker: {names}")
    return fail("no other engine", names, fix="set adopt=True to share the host with it")


def _stopping(engines: list[ForeignEngine], settings: Settings) -> str:
    if not all(engine.can_be_stopped for engine in engines):
        return "find its process with `ss -lptnx`, and stop it"
    if settings.docker_source == "present":
        return "stop it: gpuhost uses docker.service"
    return AGAIN if settings.adopt else "set adopt=True to stop it, with its containers"


@check(
    "docker.listens",
    "Nobody reaches the engine's API over the network without a certificate, and on the host only "
    "root and the group docker do.",
)
def listens(snapshot: Snapshot, settings: Settings) -> Verdict:
    found = endpoints(snapshot)
    opened = [each for each in found if not each.verified]
    reachable = [each for each in opened if not each.loopback]
    if reachable:
        return fail(
            "only its own socket",
            f"Docker's API on {_names(reachable)}",
            evidence="whoever reaches this port is root on this host",
            fix=_fix(reachable),
        )
    if sockets := open_sockets(snapshot):
        return fail(
            "only root and the group docker can use the engine's socket",
            "; ".join(map(str, sockets)),
            evidence="who can write it is root on this host",
            fix=sockets[0].fix,
        )
    if opened:
        return warn(
            "only its own socket",
            f"Docker's API on {_names(opened)}",
            evidence="every user and program of this host is root by it",
            fix=_fix(opened),
        )
    if passed_on := relays(snapshot):
        return warn(
            "only its own socket",
            f"{', '.join(passed_on)} may pass on Docker's API",
            evidence=f"{PLAIN} is the port of Docker's API without TLS",
            fix="if it does, whoever reaches it is root: stop it, or bind it to a private network",
        )
    if found:
        return ok(f"{_names(found)}, only with a client's certificate", expected="only its socket")
    return ok("only its own socket")


def _names(found: list[Endpoint]) -> str:
    return ", ".join(map(str, found))


def _fix(found: list[Endpoint]) -> str:
    places = [each.source for each in found if each.source]
    what = (
        f"remove {', '.join(map(quote, places))}, then systemctl daemon-reload and "
        if places
        else ""
    )
    units = "docker.socket docker" if any(ENGINE_SOCKET in place for place in places) else "docker"
    return f"{what}systemctl restart {units}; DOCKER_HOST=ssh://USER@HOST needs no open port"
