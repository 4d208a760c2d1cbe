"""From a blank Debian or Ubuntu server to a verified GPU container host, with its apps.

pyinfra inventory.py deploys/gpu_host.py           over SSH, every host of the inventory
pyinfra inventory.py deploys/gpu_host.py --dry     what would change, and nothing else
pyinfra @local deploys/gpu_host.py                 on the server itself
"""

from gpuhost.steps import (
    apps,
    apt,
    build,
    docker,
    drift,
    firewall,
    nvidia,
    proxy,
    swap,
    system,
    toolkit,
)
from gpuhost.steps.start import load_settings_or_stop
from gpuhost.steps.verification import verified

# None: the settings are wrong, or the system is not one for us. It was said; other hosts go on.
if settings := load_settings_or_stop():
    system.wait_for_package_manager(settings)
    proxy.ready(settings)
    nvidia.archive_ready(settings)
    apt.ready(settings)
    system.ready(settings)
    swap.ready(settings)
    nvidia.ready(settings)
    docker.ready(settings)
    toolkit.ready(settings)
    docker.configured(settings)
    build.ready(settings)
    toolkit.proven(settings)
    firewall.ready(settings)
    system.updated(settings)
    drift.ready(settings)
    verified(settings)
    apps.all_released(settings)
