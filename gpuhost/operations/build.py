"""The write side of what builds use."""

from __future__ import annotations

from pyinfra import host

from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.apt_cache import (
    DROPIN,
    PACKAGE,
    SECURITY_LIST,
    UNIT,
    files,
    is_declared,
    is_stale,
    leftover_files,
    wrong_files,
)
from gpuhost.remote.commands import (
    LOCK_TIMEOUT,
    apt_install,
    apt_remove,
    apt_update,
    put,
    refuse,
    remove,
    run,
)
from gpuhost.settings import Settings

# It waits for docker0, and for mirrors that do not answer.
STARTING = 120


@operation
def apt_cache(
    mirrors: tuple[str, ...] = (),
    security: bool = False,
    present: bool = True,
    adopt: bool = False,
    lock_timeout_s: int = LOCK_TIMEOUT,
) -> Commands:
    """
    Have apt-cacher-ng on docker0's address, for apt inside builds. Mirrors are tried in order; one
    that refuses, or has not got a file, is followed by the next.

    + mirrors: known names such as "aliyun", or URLs; none: archives are asked themselves
    + security: take Debian's security updates from them too
    + present: False: take it away again
    + adopt: take over an apt-cacher-ng that is there already
    + lock_timeout_s: seconds to wait for another apt

    **Example:**

    .. code:: python

        from gpuhost.operations import build
        build.apt_cache(name="apt cache for builds", mirrors=("aliyun", "tuna", "ustc"))
    """
    settings = _settings(tuple(mirrors), security, present)
    snapshot = read(settings)
    if not is_declared(settings):
        yield from _gone(leftover_files(snapshot), lock_timeout_s)
        return
    if snapshot.build.cache is not None and not leftover_files(snapshot) and not adopt:
        refuse("build", "apt-cacher-ng is here already; adopt = True lets gpuhost configure it")
        return
    if snapshot.build.gateway is None:
        refuse("build", "docker0 has no address: the engine has to run first")
        return
    if snapshot.build.cache is None:
        yield apt_update(lock_timeout=lock_timeout_s)
    wrong = wrong_files(snapshot, settings)
    service = snapshot.build.service
    if not wrong and service.active and service.enabled and not is_stale(snapshot):
        host.noop("the apt cache is as declared")
        return
    for path, wanted in files(settings, snapshot.build.gateway).items():
        if path in wrong:
            yield put(path, wanted.text, mode=wanted.mode)
    if snapshot.build.cache is None:
        # With its files in place it never listens elsewhere, not even for a moment.
        yield apt_install([PACKAGE], lock_timeout=lock_timeout_s)
    if DROPIN in wrong:
        yield run("systemctl", "daemon-reload", seconds=60)
    if not service.enabled:
        yield run("systemctl", "enable", UNIT, seconds=60)
    yield run("systemctl", "restart", UNIT, seconds=STARTING)


def _settings(mirrors: tuple[str, ...], security: bool, present: bool) -> Settings:
    """The mirrors as a host declares them: one, or several to try in order."""
    if not mirrors:
        return Settings(build_apt_cache=present)
    one = mirrors[0] if len(mirrors) == 1 else "auto"
    return Settings.model_validate(
        {
            "build_apt_cache": present,
            "apt_mirror": one,
            "apt_mirror_candidates": mirrors,
            "apt_mirror_security": security,
        }
    )


def _gone(paths: list[str], lock_timeout_s: int) -> Commands:
    if not paths:
        host.noop("there is no apt cache")
        return
    yield run("systemctl", "disable", "--now", UNIT, seconds=60)
    yield apt_remove([PACKAGE], lock_timeout=lock_timeout_s)
    yield remove(*paths, SECURITY_LIST)
    yield run("systemctl", "daemon-reload", seconds=60)
