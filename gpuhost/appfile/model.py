"""The block x-gpuhost."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from gpuhost.appfile.build import Build
from gpuhost.appfile.data import Backup, Directory, Logs, Migrate
from gpuhost.appfile.gpu import Gpu, Variant
from gpuhost.appfile.nginx import Nginx
from gpuhost.appfile.secret import Secret
from gpuhost.appfile.section import (
    MAX_GB,
    Profile,
    ProjectPath,
    SecretName,
    Section,
    Service,
    SourcePath,
    Text,
    VariableName,
    with_port,
)
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


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


ComposePaths = Annotated[
    tuple[SourcePath, ...],
    BeforeValidator(_as_list),
    WithJsonSchema(
        {
            "type": ["string", "array"],
            "items": {"type": "string", "title": "a path relative to the source"},
            "title": "a path relative to the source, or a list of paths",
        }
    ),
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
    """Compose project; default: `name` of the project's own files, else the app's name."""
    compose: ComposePaths = ()
    """The project's own Compose files, as for `-f`; default: those that Compose would find."""
    variables: dict[VariableName, Text] = {}
    """Variables of the Compose files; they win over the project's .env."""
    profiles: tuple[Profile, ...] = ()
    """Compose profiles that are always enabled."""
    one_shots: tuple[Service, ...] = ()
    """Services that end by themselves, with exit status 0."""
    source: Source | None = None
    """Where the project's files are; default: beside the app file."""
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
    directories: dict[ProjectPath, Directory] = {}
    """Directories to create; those of the system, of Docker and of gpuhost are refused."""
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
