"""Which paths a reading has to look at, for given settings."""

from __future__ import annotations

from gpuhost.domain.apt.repository import put_aside
from gpuhost.plans import drift
from gpuhost.plans.apt_cache import PATHS as APT_CACHE
from gpuhost.plans.disk import APPS, DATA_ROOT
from gpuhost.plans.docker_packages import OLDER_LISTS as DOCKER_LISTS
from gpuhost.plans.firewall_files import host_files
from gpuhost.plans.nvidia_repository import OTHER_LISTS as NVIDIA_LISTS
from gpuhost.plans.proxy import MODES as PROXY_FILES
from gpuhost.plans.system import UPDATES_FILE
from gpuhost.plans.system_files import PATHS as FILES
from gpuhost.plans.toolkit_packages import OLDER_LISTS as TOOLKIT_LISTS
from gpuhost.settings import Settings
from gpuhost.snapshot.apt import CLOUD_INIT, INTERRUPTED, UPDATED
from gpuhost.snapshot.docker import DAEMON_JSON
from gpuhost.snapshot.firewall import PENDING
from gpuhost.snapshot.paths import CONTAINERD, ancestry
from gpuhost.snapshot.system import REBOOT_REQUIRED
from gpuhost.snapshot.toolkit import INSTALLED, RUNTIME
from gpuhost.snapshot.transport import Request


def request_for(settings: Settings) -> Request:
    """Every path that some check of these settings asks about."""
    data_root = settings.docker_data_root or DATA_ROOT
    directories = (data_root, CONTAINERD, APPS, settings.swap_path)
    return drift.request(settings) | Request(
        managed=frozenset(
            {
                DAEMON_JSON,
                UPDATES_FILE,
                *PROXY_FILES,
                *APT_CACHE,
                *(file.path for file in host_files()),
            }
        ),
        plain=frozenset(
            {
                settings.swap_path,
                REBOOT_REQUIRED,
                CLOUD_INIT,
                INTERRUPTED,
                UPDATED,
                PENDING,
                *DOCKER_LISTS,
                INSTALLED,
                RUNTIME,
                *NVIDIA_LISTS,
                *TOOLKIT_LISTS,
                *map(put_aside, TOOLKIT_LISTS),
                *(FILES - {DAEMON_JSON, UPDATES_FILE}),
            }
        ),
        directories=frozenset().union(*(ancestry(path) for path in directories)),
        swap_files=frozenset({settings.swap_path}),
    )
