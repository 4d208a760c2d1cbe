"""Operations on the host's nginx. Releases install and remove sites."""

from __future__ import annotations

import json

from pyinfra import host

from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.units import enable_now
from gpuhost.plans.apt_archives import optional_archives
from gpuhost.plans.nginx import is_up, missing_packages
from gpuhost.remote.apt import LOCK_TIMEOUT_S, apt_update_install
from gpuhost.remote.commands import put
from gpuhost.settings import Settings
from gpuhost.snapshot.nginx import RECORD


@operation
def packages(
    certbot: bool = False,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Install the distribution's nginx, start it, and enable it at boot. Its configuration stays as it
    is: a release installs the site of its app.

    + certbot: also install certbot, whose timer renews certificates
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import nginx
        nginx.packages(name="nginx", certbot=True)
    """
    snapshot = read(Settings())
    certificates = certbot or snapshot.nginx.certificates
    missing = missing_packages(snapshot, certificates=certificates)
    is_recorded = snapshot.nginx.needed and snapshot.nginx.certificates == certificates
    units = [snapshot.nginx.service, *([snapshot.nginx.renewal] if certificates else [])]
    down = [unit.name for unit in units if not is_up(unit)]
    if is_recorded and not missing and not down:
        host.noop("nginx is installed and runs")
        return
    if missing:
        yield from apt_update_install(
            missing, optional=optional_archives(snapshot), lock_timeout_s=lock_timeout_s
        )
    if not is_recorded:
        yield put(RECORD, json.dumps({"certbot": certificates}) + "\n")
    if down:
        yield from enable_now(snapshot, *down, seconds=90)
