"""Programs of the distribution that releases of an app need on their host."""

from __future__ import annotations

from pyinfra import host

from gpuhost.operations.reading import Commands, operation, read
from gpuhost.remote.commands import LOCK_TIMEOUT, apt_install, apt_update
from gpuhost.settings import Settings
from gpuhost.snapshot.packages import installed_packages


@operation
def installed(
    packages: tuple[str, ...],
    lock_timeout_s: int = LOCK_TIMEOUT,
    settings: Settings | None = None,
) -> Commands:
    """
    Have these packages; what is there stays at the version it has.

    + packages: "git" for a source in a repository, "logrotate" for log files
    + lock_timeout_s: seconds to wait for another apt
    + settings: the settings by which a deploy has read this host; no second reading then

    **Example:**

    .. code:: python

        from gpuhost.operations import app_tools
        app_tools.installed(name="Tools of apps", packages=("git", "logrotate"))
    """
    there = installed_packages(read(settings or Settings()).probes)
    missing = [name for name in packages if name not in there]
    if not missing:
        host.noop(f"{' and '.join(packages)}: installed")
        return
    yield apt_update(lock_timeout=lock_timeout_s)
    yield apt_install(missing, lock_timeout=lock_timeout_s)
