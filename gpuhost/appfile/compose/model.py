"""What the Compose files of an app say, as far as it is needed where pyinfra runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gpuhost.appfile.compose.cards import FileCards
from gpuhost.appfile.compose.limits import DeclaredLimits
from gpuhost.appfile.compose.short_forms import Raw, Volume, volume_of

# Prefixes of build contexts that are not a directory relative to the file.
NOT_RELATIVE = ("/", "~", "$", "git@", "github.com/", "service:")


def is_beside(context: str) -> bool:
    """Whether a build context is a directory of the app's source, not a URL or another path."""
    return "://" not in context and not context.startswith(NOT_RELATIVE)


@dataclass(frozen=True)
class ComposeBuild:
    """context, additional: relative to the source, if they are directories of it.

    + dockerfile: "" if it is inline
    + args: NAME=value, or NAME
    """

    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str | None = None
    additional: tuple[str, ...] = ()
    args: tuple[str, ...] = ()

    @property
    def is_of_source(self) -> bool:
        return is_beside(self.context)


@dataclass(frozen=True)
class EnvFile:
    """path: "./x" in the source, or as written. required: Compose refuses a file without it."""

    path: str
    required: bool = True


@dataclass(frozen=True)
class ComposeService:
    image: str | None = None
    build: ComposeBuild | None = None
    ports: tuple[Raw, ...] = ()
    profiles: tuple[str, ...] = ()
    container_name: str | None = None
    restart: str | None = None
    healthcheck: bool = False
    networks: tuple[str, ...] = ()
    volumes: tuple[Raw, ...] = ()
    # Names only.
    environment: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    env_files: tuple[EnvFile, ...] = ()
    label_files: tuple[str, ...] = ()
    # Files in the project directory.
    seccomp_profiles: tuple[str, ...] = ()
    network_mode: str | None = None
    # NVIDIA's, that the file reserves; None: no card.
    cards: FileCards | None = None
    limits: DeclaredLimits = field(default_factory=DeclaredLimits)

    @property
    def mounts(self) -> tuple[Volume, ...]:
        return tuple(map(volume_of, self.volumes))

    def is_started(self, profiles: Collection[str]) -> bool:
        """Whether one of the active profiles starts it; an empty profile is always active."""
        active = {"", *profiles}
        return not self.profiles or "*" in active or not active.isdisjoint(self.profiles)


@dataclass(frozen=True)
class ComposeResource:
    """A network, volume, config or secret of the files' top level.

    + file: of a config or secret, "./x" in the source
    + device: of a volume, a path or what its driver takes
    """

    external: bool = False
    name: str | None = None
    file: str | None = None
    device: str | None = None


@dataclass(frozen=True)
class ComposeFile:
    """The files of an app as one."""

    services: Mapping[str, ComposeService] = field(default_factory=dict)
    networks: Mapping[str, ComposeResource] = field(default_factory=dict)
    volumes: Mapping[str, ComposeResource] = field(default_factory=dict)
    configs: Mapping[str, ComposeResource] = field(default_factory=dict)
    secrets: Mapping[str, ComposeResource] = field(default_factory=dict)
    name: str | None = None

    @property
    def profiles(self) -> frozenset[str]:
        return frozenset(name for service in self.services.values() for name in service.profiles)
