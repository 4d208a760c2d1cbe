"""What to do if nothing could be installed from a vendor's repository."""

from __future__ import annotations

from urllib.parse import urlsplit

from gpuhost.domain.advice import AGAIN
from gpuhost.domain.apt.repository import Repository
from gpuhost.plans.repository import is_fetched
from gpuhost.snapshot import Snapshot

DOCKER = (
    'set docker_mirror ("aliyun", "tuna", "ustc", "tencent", "huawei" or a URL) or '
    'docker_source="distro"'
)
TOOLKIT = 'set toolkit_mirror ("ustc" or a URL)'
NVIDIA = 'set nvidia_mirror (a URL) or nvidia_source="distro"'


def fix_for(repository: Repository, snapshot: Snapshot, alternative: str) -> str:
    """A repository that apt never fetched may be out of reach: the deploy alone does not help.

    + alternative: the settings to change then
    """
    if is_fetched(repository, snapshot):
        return AGAIN
    server = urlsplit(repository.uri).netloc
    return f"{AGAIN}; if this host cannot reach {server}, {alternative}"
