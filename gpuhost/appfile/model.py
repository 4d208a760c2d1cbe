"""The x-gpuhost block as a whole."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gpuhost.appfile.build import Build
from gpuhost.appfile.data import Backup, Directory, Logs, Migrate
from gpuhost.appfile.gpu import Gpu, Variant
from gpuhost.appfile.host_paths import DirectoryPath
from gpuhost.appfile.nginx import Nginx
from gpuhost.appfile.secret import Secret
from gpuhost.appfile.section import MOST_GB, SecretName, Section, Service, with_port
from gpuhost.appfile.source import Registry, Source
from gpuhost.appfile.verify import Verify

RegistryHost = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]*$", title="a registry's host")
]
ServicePort = Annotated[
    str,
    Field(
        pattern=r"^[a-zA-Z0-9._-]+:[0-9]{1,5}$", title='a service and its port, such as "app:3000"'
    ),
    AfterValidator(with_port),
]


class Resources(Section):
    """Limits of one service."""

    # The least is what Docker takes; no bytes would be no limit.
    memory_gb: Annotated[float, Field(ge=0.01, le=MOST_GB)] | None = None
    """Memory limit."""
    shm_gb: Annotated[float, Field(ge=0.001, le=MOST_GB)] | None = None
    """Size of /dev/shm."""
    cpus: Annotated[float, Field(ge=0.01, le=10_000)] | None = None
    """CPU limit, in cores."""


class XGpuhost(Section):
    """x-gpuhost: what Compose cannot say."""

    project: (
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", title="a project's name")] | None
    ) = None
    """Compose project; the app's name if not given. A deployment made by hand keeps its own."""
    source: Source | None = None
    """Where build contexts come from; none: images only."""
    registries: dict[RegistryHost, Registry] = {}
    """Private registries by host."""
    build: Build = Build()
    """How images are made."""
    gpu: dict[Service, Gpu] = {}
    """Services that need a card."""
    with_gpu: Variant = Variant()
    """On a host with a card that fits."""
    without_gpu: Variant | None = None
    """On a host without; not given: the app is refused there."""
    secrets: dict[SecretName, Secret] = {}
    """By the name of the environment variable."""
    directories: dict[DirectoryPath, Directory] = {}
    """Directories that have to be there; none of the host's system, such as / or /etc."""
    logs: Logs = Logs()
    """Log files in bind mounts."""
    migrate: Migrate | None = None
    """The database's migration."""
    backup: Backup | None = None
    """Backups."""
    verify: Verify = Verify()
    """How a release is proven good."""
    nginx: Nginx | None = None
    """How the world reaches it."""
    public: tuple[ServicePort, ...] = ()
    """Published ports that other machines reach, "service:port"; the others are loopback's."""
    resources: dict[Service, Resources] = {}
    """Limits by service."""
    scale: dict[Service, Annotated[int, Field(ge=1)]] = {}
    """Containers of a service."""
    keep_releases: Annotated[int, Field(ge=2)] = 3
    """Releases whose files and images are kept for a rollback."""
