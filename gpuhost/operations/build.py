"""Operations on the apt cache that image builds use."""

from __future__ import annotations

from pyinfra import host

from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.operations.units import enable_missing, refuse_files, write_files
from gpuhost.plans.apt_archives import optional_archives
from gpuhost.plans.apt_cache import (
    PACKAGE,
    SECURITY_LIST,
    UNIT,
    is_declared,
    is_stale,
    leftover_files,
    wrong_files,
)
from gpuhost.remote.apt import LOCK_TIMEOUT_S, apt_install, apt_remove, apt_update
from gpuhost.remote.commands import remove, run
from gpuhost.remote.units import disable_now
from gpuhost.settings import Settings

# The service waits for docker0, and for mirrors that do not answer.
START_SECONDS = 120


@operation
def apt_cache(
    mirrors: tuple[str, ...] = (),
    security: bool = False,
    adopt: bool = False,
    present: bool = True,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Ensure that apt-cacher-ng serves apt inside image builds, on the address of docker0. Mirrors are
    tried in order: if one refuses or lacks a file, the next is used.

    + mirrors: known names such as "aliyun", or URLs; none: the original archives
    + security: also fetch Debian's security updates from the mirrors
    + adopt: configure an apt-cacher-ng that is already installed
    + present: False: remove the cache and its packages
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import build
        build.apt_cache(name="apt cache for builds", mirrors=("aliyun", "tuna", "ustc"))
    """
    settings = _settings(tuple(mirrors), security, present)
    snapshot = read(settings)
    if not is_declared(settings):
        yield from _remove(leftover_files(snapshot), lock_timeout_s)
        return
    if snapshot.build.cache is not None and not leftover_files(snapshot) and not adopt:
        refuse(
            "build",
            "apt-cacher-ng is already installed; set adopt=True to let gpuhost configure it",
        )
        return
    if snapshot.build.gateway is None:
        refuse("build", "docker0 has no address: start the engine first")
        return
    wrong = wrong_files(snapshot, settings)
    service = snapshot.build.service
    if not wrong and service.active and service.enabled and not is_stale(snapshot):
        host.noop("the apt cache is as declared")
        return
    if refuse_files("build", snapshot, [file.path for file in wrong], adopt=adopt):
        return
    if snapshot.build.cache is None:
        yield apt_update(optional_archives(snapshot), lock_timeout_s=lock_timeout_s)
    yield from write_files(snapshot, wrong)
    if snapshot.build.cache is None:
        # Its files come first, so that it never listens on another address.
        yield apt_install([PACKAGE], lock_timeout_s=lock_timeout_s)
    yield from enable_missing(snapshot, wrong, UNIT)
    yield run("systemctl", "restart", UNIT, seconds=START_SECONDS)


def _settings(mirrors: tuple[str, ...], security: bool, present: bool) -> Settings:
    """The mirrors as settings: one, or several to try in order."""
    if not mirrors:
        return Settings(build_apt_cache=present)
    mirror = mirrors[0] if len(mirrors) == 1 else "auto"
    return Settings.model_validate(
        {
            "build_apt_cache": present,
            "apt_mirror": mirror,
            "apt_mirror_candidates": mirrors,
            "apt_mirror_security": security,
        }
    )


def _remove(paths: list[str], lock_timeout_s: int) -> Commands:
    if not paths:
        host.noop("the apt cache is not installed")
        return
    yield from disable_now(UNIT)
    yield apt_remove([PACKAGE], lock_timeout_s=lock_timeout_s)
    yield remove(*paths, SECURITY_LIST)
