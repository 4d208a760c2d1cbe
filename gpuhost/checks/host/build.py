"""Builds on the host: apt inside them."""

from __future__ import annotations

import hashlib

from gpuhost.checks.finding import Verdict, fail, later, ok, skip
from gpuhost.checks.registry import check
from gpuhost.plans.apt_cache import PATHS, PORT, UNIT, files, is_wanted
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

AGAIN = "run deploys/gpu_host.py again"


def build_proxy(settings: Settings, snapshot: Snapshot) -> str | None:
    """Where apt inside builds finds the cache; None: builds go without it."""
    if not is_wanted(settings) or snapshot.build.gateway is None:
        return None
    return f"http://{snapshot.build.gateway}:{PORT}"


def build_arguments(settings: Settings, snapshot: Snapshot) -> dict[str, str]:
    """Build arguments that every RUN knows without an ARG, and no image keeps."""
    proxy = build_proxy(settings, snapshot)
    # apt reads no_proxy in small letters alone; curl, pip, git and others go past the cache.
    return {"http_proxy": proxy, "NO_PROXY": "*"} if proxy else {}


def wrong_files(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Files of the cache that are missing, changed or not to be written by others."""
    assert snapshot.build.gateway is not None
    wrong = []
    for path, wanted in files(settings, snapshot.build.gateway).items():
        state = snapshot.paths.get(path)
        if state is not None and state.sha256 is None:
            raise NotRead(f"{path}: only root can read it")
        digest = hashlib.sha256(wanted.text.encode()).hexdigest()
        right = (digest, wanted.mode, "root")
        if state is None or (state.sha256, state.mode, state.owner) != right:
            wrong.append(path)
    return wrong


def left_behind(snapshot: Snapshot) -> list[str]:
    """Files of ours that are there."""
    return [path for path in PATHS if snapshot.paths.get(path) is not None]


def is_stale(snapshot: Snapshot) -> bool:
    """It runs since before its files were changed."""
    started = snapshot.build.service.started
    states = [snapshot.paths.get(path) for path in PATHS]
    return started is not None and any(state.modified > started for state in states if state)


@check("build.apt_cache", "apt inside builds goes through a cache that asks the declared mirrors.")
def apt_cache(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not is_wanted(settings):
        return _unwanted(snapshot, settings)
    if snapshot.build.gateway is None:
        return later("docker0 has no address: the engine is not there yet")
    if snapshot.build.cache is None:
        return fail("apt-cacher-ng", "not installed", fix=AGAIN)
    wrong = wrong_files(snapshot, settings)
    if wrong:
        return fail("the declared mirrors", f"not so in {', '.join(wrong)}", fix=AGAIN)
    if not (snapshot.build.service.active and snapshot.build.service.enabled):
        return fail(f"{UNIT} active and enabled", "it is not", fix=f"systemctl status {UNIT}")
    if is_stale(snapshot):
        return fail("its files taken up", "it runs since before they changed", fix=AGAIN)
    return ok(f"on {snapshot.build.gateway}:{PORT}")


def _unwanted(snapshot: Snapshot, settings: Settings) -> Verdict:
    if left_behind(snapshot):
        return fail("no cache", f"left behind: {', '.join(left_behind(snapshot))}", fix=AGAIN)
    if settings.build_apt_cache is not False and (settings.proxy_http or settings.proxy_https):
        return skip("builds go through the declared proxy")
    return skip("no apt_mirror is declared" if settings.build_apt_cache else "switched off")
