"""Builds on the host: apt inside them."""

from __future__ import annotations

import hashlib

from gpuhost.checks.finding import Verdict, fail, later, ok, skip
from gpuhost.checks.registry import check
from gpuhost.plans.apt_cache import PATHS, PORT, UNIT, files, is_wanted
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

AGAIN = "run deploys/gpu_host.py again"


def build_proxy(declared: Settings, now: Snapshot) -> str | None:
    """Where apt inside builds finds the cache; None: builds go without it."""
    if not is_wanted(declared) or now.build.gateway is None:
        return None
    return f"http://{now.build.gateway}:{PORT}"


def build_arguments(declared: Settings, now: Snapshot) -> dict[str, str]:
    """Build arguments that every RUN knows without an ARG, and no image keeps."""
    proxy = build_proxy(declared, now)
    # apt reads no_proxy in small letters alone; curl, pip, git and others go past the cache.
    return {"http_proxy": proxy, "NO_PROXY": "*"} if proxy else {}


def wrong_files(now: Snapshot, declared: Settings) -> list[str]:
    """Files of the cache that are missing, changed or not to be written by others."""
    assert now.build.gateway is not None
    wrong = []
    for path, wanted in files(declared, now.build.gateway).items():
        state = now.paths.get(path)
        if state is not None and state.sha256 is None:
            raise NotRead(f"{path}: only root can read it")
        digest = hashlib.sha256(wanted.text.encode()).hexdigest()
        right = (digest, wanted.mode, "root")
        if state is None or (state.sha256, state.mode, state.owner) != right:
            wrong.append(path)
    return wrong


def left_behind(now: Snapshot) -> list[str]:
    """Files of ours that are there."""
    return [path for path in PATHS if now.paths.get(path) is not None]


def is_stale(now: Snapshot) -> bool:
    """It runs since before its files were changed."""
    started = now.build.service.started
    states = [now.paths.get(path) for path in PATHS]
    return started is not None and any(state.modified > started for state in states if state)


@check("build.apt_cache", "apt inside builds goes through a cache that asks the declared mirrors.")
def apt_cache(now: Snapshot, declared: Settings) -> Verdict:
    if not is_wanted(declared):
        return _unwanted(now, declared)
    if now.build.gateway is None:
        return later("docker0 has no address: the engine is not there yet")
    if now.build.cache is None:
        return fail("apt-cacher-ng", "not installed", fix=AGAIN)
    wrong = wrong_files(now, declared)
    if wrong:
        return fail("the declared mirrors", f"not so in {', '.join(wrong)}", fix=AGAIN)
    if not (now.build.service.active and now.build.service.enabled):
        return fail(f"{UNIT} active and enabled", "it is not", fix=f"systemctl status {UNIT}")
    if is_stale(now):
        return fail("its files taken up", "it runs since before they changed", fix=AGAIN)
    return ok(f"on {now.build.gateway}:{PORT}")


def _unwanted(now: Snapshot, declared: Settings) -> Verdict:
    if left_behind(now):
        return fail("no cache", f"left behind: {', '.join(left_behind(now))}", fix=AGAIN)
    if declared.build_apt_cache is not False and (declared.proxy_http or declared.proxy_https):
        return skip("builds go through the declared proxy")
    return skip("no apt_mirror is declared" if declared.build_apt_cache else "switched off")
