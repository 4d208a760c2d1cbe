"""The write side of the host's nginx. Sites come and go with releases, not here."""

from __future__ import annotations

import json

from pyinfra import host

from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.nginx import is_up, missing_packages
from gpuhost.remote.commands import LOCK_TIMEOUT, apt_install, apt_update, put, run
from gpuhost.settings import Settings
from gpuhost.snapshot.nginx import RECORD


@operation
def installed(
    certbot: bool = False, lock_timeout_s: int = LOCK_TIMEOUT, settings: Settings | None = None
) -> Commands:
    """
    Have the distribution's nginx, running now and after a boot. What it is configured to do stays
    as it is: the site of an app is put there by its release.

    + certbot: also have certbot, whose timer renews certificates
    + lock_timeout_s: seconds to wait for another apt
    + settings: the settings by which a deploy has read this host; no second reading then

    **Example:**

    .. code:: python

        from gpuhost.operations import nginx
        nginx.installed(name="nginx", certbot=True)
    """
    snapshot = read(settings or Settings())
    certificates = certbot or snapshot.nginx.certificates
    missing = missing_packages(snapshot, certificates=certificates)
    recorded = snapshot.nginx.needed and snapshot.nginx.certificates == certificates
    units = [snapshot.nginx.service, *([snapshot.nginx.renewal] if certificates else [])]
    down = [unit.name for unit in units if not is_up(unit)]
    if recorded and not missing and not down:
        host.noop("nginx is installed and runs")
        return
    if missing:
        yield apt_update(lock_timeout=lock_timeout_s)
        yield apt_install(missing, lock_timeout=lock_timeout_s)
    if not recorded:
        yield put(RECORD, json.dumps({"certbot": certificates}) + "\n")
    if down:
        yield run("systemctl", "enable", "--now", *down, seconds=90)
