"""Owner and mode of the files that gpuhost writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.domain.apt.record import RECORD as APT_RECORD
from gpuhost.domain.apt.repository import key_path, sources_path
from gpuhost.domain.firewall.published import RULES
from gpuhost.domain.firewall.ufw import USER_RULES
from gpuhost.domain.toolkit.proof import RECORD as TOOLKIT_RECORD
from gpuhost.plans import docker_packages, nvidia_repository, toolkit_packages
from gpuhost.plans.apt_cache import SECURITY_LIST
from gpuhost.plans.nvidia_repository import ARCHIVE_SOURCES
from gpuhost.plans.nvidia_upkeep import BLACKLIST
from gpuhost.plans.proxy import CLIENT_FILE
from gpuhost.plans.system import UPDATES_FILE
from gpuhost.runner.contract import APPS
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.applied import APPLIED
from gpuhost.snapshot.apt import CLOUD_INIT_APT
from gpuhost.snapshot.docker import DAEMON_JSON, DOCKER_RECORD
from gpuhost.snapshot.firewall import UFW_CONF, UFW_DEFAULTS
from gpuhost.snapshot.nginx import RECORD as NGINX_RECORD
from gpuhost.snapshot.nvidia import EXCLUSIONS, PERSISTENCE_UNIT, PREFERENCES
from gpuhost.snapshot.nvidia_record import NVIDIA_RECORD
from gpuhost.snapshot.paths import PathState
from gpuhost.snapshot.proxy import PROXY_RECORD
from gpuhost.snapshot.request import Request
from gpuhost.snapshot.sysctl import OURS as SYSCTL_FILES

# Entirely gpuhost's. Others must read them, such as apt under a user of its own.
OURS = frozenset(
    {
        *(UPDATES_FILE, EXCLUSIONS, CLOUD_INIT_APT, PREFERENCES, ARCHIVE_SOURCES),
        *(*SYSCTL_FILES, BLACKLIST, PERSISTENCE_UNIT),
        *(APT_RECORD, DOCKER_RECORD, NVIDIA_RECORD, NGINX_RECORD),
        *(
            path
            for name in (docker_packages.NAME, nvidia_repository.NAME, toolkit_packages.NAME)
            for path in (sources_path(name), key_path(name))
        ),
    }
)
OPEN, SECRET = "0644", "0600"
# Could reveal secrets.
PRIVATE = frozenset({APPLIED})
# With a proxy's password, or what could reveal it.
SECRETS = frozenset({CLIENT_FILE, PROXY_RECORD})
# gpuhost writes a part of these, or others may restrict them further; and directories.
SHARED = frozenset(
    {
        *(DAEMON_JSON, "/etc/fstab", "/etc/hosts", TOOLKIT_RECORD, SECURITY_LIST),
        *(UFW_DEFAULTS, UFW_CONF, *USER_RULES.values(), *RULES.values()),
        *("/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/keyrings"),
        *("/etc/apt/apt.conf.d", "/etc/docker", "/etc/gpuhost", "/usr/local/lib/gpuhost"),
        *("/var/lib/gpuhost", str(APPS)),
    }
)
PATHS = OURS | PRIVATE | SECRETS | SHARED
OTHERS_WRITE = 0o022


@dataclass(frozen=True)
class Fault:
    """A path that others may change. mode: the right one; link: it is a symbolic link."""

    path: str
    state: str
    mode: str
    link: bool


def faults(snapshot: Snapshot, *, proxy: bool) -> Iterator[Fault]:
    """In the order of their paths.

    + proxy: one is declared
    """
    for path in sorted(PATHS):
        state = snapshot.paths.get(path)
        if state is None:
            continue
        mode = _mode(state, proxy)
        link = "link" in state.kind
        if link and path in OURS | PRIVATE:
            yield Fault(path, "a symbolic link", mode, link)
        elif not link and (state.owner, state.mode) != ("root", mode):
            yield Fault(path, f"{state.owner} {state.mode}", mode, link)


def _mode(state: PathState, proxy: bool) -> str:
    """The right mode; a shared path only must not be writable by others."""
    if state.path in OURS:
        return OPEN
    if state.path in PRIVATE or (state.path in SECRETS and proxy):
        return SECRET
    return f"{int(state.mode, 8) & ~OTHERS_WRITE:04o}"


def request(settings: Settings) -> Request:
    return Request(plain=tuple(sorted(PATHS)))
