"""Operations on programs of the distribution that app releases need on their host."""

from __future__ import annotations

from pyinfra import host

from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.apt_archives import optional_archives
from gpuhost.remote.apt import LOCK_TIMEOUT_S, apt_update_install
from gpuhost.settings import Settings
from gpuhost.snapshot.packages import installed_packages


@operation
def packages(
    packages: tuple[str, ...],
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Install the packages that are missing; installed ones keep their version.

    + packages: "git" for an app whose source is a repository, "openssh-client" for one behind ssh
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import app_tools
        app_tools.packages(name="Tools of apps", packages=("git", "openssh-client"))
    """
    snapshot = read(Settings())
    installed = installed_packages(snapshot.probes)
    missing = [name for name in packages if name not in installed]
    if not missing:
        host.noop(f"{' and '.join(packages)}: installed")
        return
    yield from apt_update_install(
        missing,
        optional=optional_archives(snapshot),
        lock_timeout_s=lock_timeout_s,
    )
