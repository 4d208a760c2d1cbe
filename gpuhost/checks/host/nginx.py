"""nginx on the host, if an app is served through it."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, skip
from gpuhost.checks.registry import check
from gpuhost.plans.nginx import is_up, missing_packages
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.units import Unit

NOT_NEEDED = "no app on this host uses its nginx"
AGAIN = "run deploys/app.py again"


@check("nginx.package", "nginx is installed if an app needs it, and certbot for certificates.")
def package(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not snapshot.nginx.needed:
        return skip(NOT_NEEDED)
    missing = missing_packages(snapshot, certificates=snapshot.nginx.certificates)
    if missing:
        return fail("installed", f"{' and '.join(missing)} not installed", fix=AGAIN)
    return ok(f"nginx {snapshot.nginx.version}")


@check("nginx.running", "nginx runs, and starts at boot, if an app needs it.")
def running(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not snapshot.nginx.needed:
        return skip(NOT_NEEDED)
    if snapshot.nginx.version is None:
        return later("nginx is not installed")
    if is_up(snapshot.nginx.service):
        return ok("active, enabled")
    return fail("active and enabled", _state(snapshot.nginx.service), fix="systemctl status nginx")


@check("nginx.renewal", "certbot's timer renews the certificates of apps.")
def renewal(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not snapshot.nginx.certificates:
        return skip("no app on this host has certificates from certbot")
    if snapshot.nginx.certbot is None:
        return later("certbot is not installed")
    if is_up(snapshot.nginx.renewal):
        return ok("certbot.timer is active")
    state = _state(snapshot.nginx.renewal)
    return fail("active and enabled", state, fix="systemctl enable --now certbot.timer")


def _state(unit: Unit) -> str:
    if not unit.loaded:
        return f"{unit.name} does not exist"
    active = "active" if unit.active else "not active"
    return f"{unit.name} is {active}, {'' if unit.enabled else 'not '}started at boot"
