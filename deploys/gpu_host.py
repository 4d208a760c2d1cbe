"""Turn a blank Debian or Ubuntu server into a verified GPU container host, with its apps.

pyinfra inventory.py deploys/gpu_host.py           over SSH, every host of the inventory
pyinfra inventory.py deploys/gpu_host.py --dry     only print what would change
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
from gpuhost.steps.verification import conclude, verify

# None: invalid settings or an unsupported system. The reason is printed; other hosts continue.
if settings := load_settings_or_stop(keep_going=True):
    system.wait_for_package_manager(settings)
    system.unmask(settings)
    proxy.apply(settings)
    nvidia.add_archive_components(settings)
    apt.apply(settings)
    system.apply(settings)
    swap.apply(settings)
    nvidia.apply(settings)
    docker.apply(settings)
    toolkit.apply(settings)
    docker.configure(settings)
    build.apply(settings)
    toolkit.test_gpu_container(settings)
    firewall.apply(settings)
    system.enable_security_updates(settings)
    drift.apply(settings)
    system.repair(settings)
    apps.prepare(settings)
    verify(settings)
    apps.deploy_all(settings)
    conclude()
