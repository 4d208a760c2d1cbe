"""The block x-gpuhost."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gpuhost.appfile.build import Build
from gpuhost.appfile.data import Backup, Directory, Logs, Migrate
from gpuhost.appfile.gpu import Gpu, Variant
from gpuhost.appfile.host_paths import DirectoryPath
from gpuhost.appfile.nginx import Nginx
from gpuhost.appfile.secret import Secret
from gpuhost.appfile.section import MAX_GB, SecretName, Section, Service, with_port
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
    """Resource limits of one service."""

    # The minimum that Docker accepts; 0 would mean no limit.
    memory_gb: Annotated[float, Field(ge=0.01, le=MAX_GB)] | None = None
    """Memory limit."""
    shm_gb: Annotated[float, Field(ge=0.001, le=MAX_GB)] | None = None
    """Size of /dev/shm."""
    cpus: Annotated[float, Field(ge=0.01, le=10_000)] | None = None
    """CPU limit, in cores."""


class XGpuhost(Section):
    """What gpuhost needs to know beyond the Compose file."""

    project: (
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", title="a project's name")] | None
    ) = None
    """Compose project; default: the app's name. Set it to take over a manual deployment."""
    source: Source | None = None
    """Where build contexts come from; default: no builds, images only."""
    registries: dict[RegistryHost, Registry] = {}
    """Private registries, by host name."""
    build: Build = Build()
    """How images are built."""
    gpu: dict[Service, Gpu] = {}
    """Services that need a GPU."""
    with_gpu: Variant = Variant()
    """What is different on a host with a card that meets `gpu`."""
    without_gpu: Variant | None = None
    """What is different on a host without one; default: the app is refused there."""
    secrets: dict[SecretName, Secret] = {}
    """Secrets, by the name of the environment variable."""
    directories: dict[DirectoryPath, Directory] = {}
    """Directories to create; system directories such as / or /etc are refused."""
    logs: Logs = Logs()
    """Log files in bind mounts, to rotate."""
    migrate: Migrate | None = None
    """Database migration."""
    backup: Backup | None = None
    """What to back up, and when."""
    verify: Verify = Verify()
    """How a release is verified."""
    nginx: Nginx | None = None
    """The nginx site in front of the app."""
    public: tuple[ServicePort, ...] = ()
    """Ports published to other machines, "service:port"; all others bind to 127.0.0.1."""
    resources: dict[Service, Resources] = {}
    """Resource limits, by service."""
    scale: dict[Service, Annotated[int, Field(ge=1)]] = {}
    """Number of containers, by service."""
    keep_releases: Annotated[int, Field(ge=2)] = 3
    """How many releases to keep, with files and images, for a rollback."""
