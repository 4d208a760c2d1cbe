"""The source of the engine: repository, package names, versions."""

from __future__ import annotations

import re

from gpuhost.domain.apt.mirrors import HOSTS
from gpuhost.domain.apt.repository import Repository
from gpuhost.domain.apt.vendors import Archive
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import ENGINE_PACKAGES
from gpuhost.snapshot.system import System

OFFICIAL = "https://download.docker.com"
# docs.docker.com/engine/install: what to install, and what to remove first.
DOCKER_CE = (
    "docker-ce",
    "docker-ce-cli",
    "containerd.io",
    "docker-buildx-plugin",
    "docker-compose-plugin",
)
# Microsoft's build, on its cloud's images.
MOBY = ("moby-engine", "moby-cli", "moby-containerd", "moby-runc", "moby-buildx", "moby-compose")
# Packages that cannot be installed beside those of a source.
OTHERS = {
    "docker-ce": (
        *("docker.io", "docker-cli", "docker-compose", "docker-compose-v2", "docker-buildx"),
        *("podman-docker", "docker-engine", *MOBY),
    ),
    "distro": (
        *("docker-ce", "docker-ce-cli", "docker-ce-rootless-extras", "containerd.io"),
        *("podman-docker", *MOBY),
    ),
}
# containerd.io conflicts with both and provides both.
RUNTIMES = ("containerd", "runc")
# What containers run in: without it they stop, or nobody knows them any more.
ENGINES = {
    *("docker.io", "docker-ce", "docker-engine", "moby-engine"),
    *(*RUNTIMES, "containerd.io", "moby-containerd", "moby-runc"),
}
# Debian calls the plugin docker-compose since 13; before, and on Ubuntu, that is the old Python
# program, which has no file of the plugin.
PYTHON_COMPOSE = ("docker-compose", 1)
# The same file, in Docker's package and in the distribution's.
PLUGINS = {
    "docker-compose-plugin": {"docker-compose", "docker-compose-v2"},
    "docker-buildx-plugin": {"docker-buildx"},
}
DISTRO = {
    "debian": ("docker.io", "docker-cli", "docker-compose", "docker-buildx"),
    "debian 12": ("docker.io",),
    "ubuntu": ("docker.io", "docker-compose-v2", "docker-buildx"),
}
# `!override` in a Compose file: docs.docker.com/reference/compose-file/merge, since 2.24.4.
MIN_COMPOSE = (2, 24, 4)


# Of the repository's files.
NAME = "docker"


def repository(settings: Settings, system: System) -> Repository:
    """Docker's repository for this release, from the mirror of the settings.

    China mirrors carry it under /docker-ce (LinuxMirrors, 2026-05); a URL replaces that folder.
    """
    base = OFFICIAL
    if settings.docker_mirror in HOSTS:
        base = f"https://{HOSTS[settings.docker_mirror]}/docker-ce"
    elif settings.docker_mirror != "docker":
        base = settings.docker_mirror
    uri = f"{base}/linux/{system.distribution}"
    return Repository(
        name=NAME,
        uri=uri,
        suite=system.codename,
        component="stable",
        architecture=system.architecture,
        key_url=f"{uri}/gpg",
        fingerprint=settings.docker_key_fingerprint,
        archive=Archive("docker", f"{system.distribution} {system.codename}"),
    )


def packages_of(settings: Settings, system: System) -> tuple[str, ...]:
    """The packages of the declared source; none where the engine is only to be present."""
    if settings.docker_source == "present":
        return ()
    if settings.docker_source == "docker-ce":
        return DOCKER_CE
    release = f"{system.distribution} {system.version}"
    return DISTRO.get(release) or DISTRO.get(system.distribution, ("docker.io",))


def version(text: str) -> tuple[int, ...]:
    """ "v2.26.1-4" -> (2, 26, 1), to be compared as numbers: 2.40 comes before 5.0."""
    match = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def conflicting_packages(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Installed packages that conflict with those of the declared source.

    containerd and runc without a Docker engine belong to Kubernetes or podman.
    """
    if settings.docker_source == "present":
        return []
    installed = snapshot.docker.packages
    others = [*OTHERS[settings.docker_source], *_same_plugins(snapshot, settings)]
    conflicting = [
        package
        for package in others
        if package in installed and (package, *version(installed[package])[:1]) != PYTHON_COMPOSE
    ]
    theirs = {"docker.io", "moby-engine", "containerd.io"} & set(installed)
    if settings.docker_source == "docker-ce" and not theirs:
        conflicting += [package for package in RUNTIMES if package in installed]
    return conflicting


def replaced_packages(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Those, and the runtimes of the engine that goes with them."""
    conflicting = conflicting_packages(snapshot, settings)
    if not conflicting or settings.docker_source != "docker-ce":
        return conflicting
    installed = snapshot.docker.packages
    return list(dict.fromkeys([*conflicting, *(p for p in RUNTIMES if p in installed)]))


def _same_plugins(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Docker's plugins that have a file of a package that the distribution's source installs."""
    packages = packages_of(settings, snapshot.system)
    return [plugin for plugin, theirs in PLUGINS.items() if theirs & set(packages)]


def has_unknown_engine(snapshot: Snapshot, settings: Settings) -> bool:
    """Whether an engine runs that comes neither from the declared source nor a known package."""
    docker = snapshot.docker
    if settings.docker_source == "present" or not (docker.engine or docker.is_stuck):
        return False
    return not set(ENGINE_PACKAGES) & set(snapshot.docker.packages)


def missing_packages(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Packages of the declared source that are not installed."""
    return [p for p in packages_of(settings, snapshot.system) if p not in snapshot.docker.packages]
