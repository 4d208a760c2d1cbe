"""Which paths a reading has to look at, for given settings."""

from __future__ import annotations

from gpuhost.building.apt_cache import PATHS as APT_CACHE
from gpuhost.checks.disk import APPS, DATA_ROOT
from gpuhost.checks.proxy import MODES as PROXY_FILES
from gpuhost.checks.system import UPDATES_FILE
from gpuhost.checks.system_files import PATHS as FILES
from gpuhost.docker.packages import OLDER_LISTS as DOCKER_LISTS
from gpuhost.drift import nightly
from gpuhost.firewall.files import host_files
from gpuhost.nvidia.install import OTHER_LISTS as NVIDIA_LISTS
from gpuhost.repository import put_aside
from gpuhost.settings import Settings
from gpuhost.snapshot.apt import CLOUD_INIT, INTERRUPTED, UPDATED
from gpuhost.snapshot.docker import DAEMON_JSON
from gpuhost.snapshot.firewall import PENDING
from gpuhost.snapshot.paths import CONTAINERD, ancestry
from gpuhost.snapshot.system import REBOOT_REQUIRED
from gpuhost.snapshot.toolkit import INSTALLED, RUNTIME
from gpuhost.snapshot.transport import Request
from gpuhost.toolkit.packages import OLDER_LISTS as TOOLKIT_LISTS


def request_for(declared: Settings) -> Request:
    """Every path that some check of these settings asks about."""
    data_root = declared.docker_data_root or DATA_ROOT
    directories = (data_root, CONTAINERD, APPS, declared.swap_path)
    return nightly.request(declared) | Request(
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
                declared.swap_path,
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
        swap_files=frozenset({declared.swap_path}),
    )
