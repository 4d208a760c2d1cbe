"""Builds on the host: apt inside a build."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, skip
from gpuhost.checks.registry import check
from gpuhost.plans.apt_cache import PORT, UNIT, is_declared, is_stale, leftover_files, wrong_files
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

AGAIN = "run deploys/gpu_host.py again"


@check(
    "build.apt_cache", "apt inside builds uses a cache, which downloads from the declared mirrors."
)
def apt_cache(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not is_declared(settings):
        return _undeclared(snapshot, settings)
    if snapshot.build.gateway is None:
        return later("docker0 has no address: the engine is not running yet")
    if snapshot.build.cache is None:
        return fail("apt-cacher-ng", "not installed", fix=AGAIN)
    wrong = [file.path for file in wrong_files(snapshot, settings)]
    if wrong:
        return fail("the declared mirrors", f"differs in {', '.join(wrong)}", fix=AGAIN)
    if not (snapshot.build.service.active and snapshot.build.service.enabled):
        return fail(f"{UNIT} active and enabled", "it is not", fix=f"systemctl status {UNIT}")
    if is_stale(snapshot):
        return fail("runs with its current files", "started before its files changed", fix=AGAIN)
    return ok(f"on {snapshot.build.gateway}:{PORT}")


def _undeclared(snapshot: Snapshot, settings: Settings) -> Verdict:
    if leftover_files(snapshot):
        return fail("no cache", f"left behind: {', '.join(leftover_files(snapshot))}", fix=AGAIN)
    if settings.build_apt_cache is not False and (settings.proxy_http or settings.proxy_https):
        return skip("builds use the declared proxy")
    return skip(
        "no apt_mirror is declared" if settings.build_apt_cache else "build_apt_cache is False"
    )
