"""Writes fingerprint.json: the state of a verified release, for the drift check.

It is in the release, 0600, because it contains hashes of secrets. It is compared on the host
(gpuhost/snapshot/apps_on_host.py); only the differences leave the host.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from gpuhost.runner.contract import CONTAINER_FORMAT, from_json
from gpuhost.runner.data import schedule
from gpuhost.runner.data.safe_paths import locate, open_directory, open_recorded
from gpuhost.runner.docker.compose import config, services_to_start
from gpuhost.runner.docker.containers import release_containers
from gpuhost.runner.docker.resolved_model import restart_policy
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import load_json, write_json
from gpuhost.runner.resolved.host import site_ports
from gpuhost.runner.state.container import ENDING, Container
from gpuhost.runner.state.release import Release

FORMAT = 1
NAME = "fingerprint.json"
# A container may have made its file larger; as in gpuhost/snapshot/apps_on_host.py.
LARGEST = 16 << 20


@dataclass(frozen=True)
class FileState:
    """The state of a file.

    + owner: numbers of user and group, "0:0"
    + keys: if not empty, the hash covers only these keys of a JSON file
    """

    sha256: str
    mode: str
    owner: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceState:
    """A service that must run.

    + ports: on the host, "127.0.0.1:3000/tcp"; without an address: all addresses
    + ends: the engine does not restart it, so its container may have exited
    """

    count: int
    ports: tuple[str, ...] = ()
    ends: bool = False


@dataclass(frozen=True)
class ContainerStates:
    """Service -> how its containers were made, by made_with(); format 0: not recorded."""

    services: dict[str, dict[str, str]] = field(default_factory=dict)
    format: int = 0


@dataclass(frozen=True)
class Fingerprint:
    """The state of a verified release.

    + listens: the ports of the site on the host's nginx
    + containers: how they were made
    + directories: path of a declared directory -> owner and mode, "1001:1001 0750"; an app may
      have changed what is declared. None: not recorded
    """

    files: dict[str, FileState]
    services: dict[str, ServiceState]
    listens: tuple[int, ...] = ()
    containers: ContainerStates = field(default_factory=ContainerStates)
    directories: dict[str, str] | None = None
    format: int = FORMAT


def keep(release: Release) -> None:
    """Write the fingerprint of a verified release. Raises Failure or OSError."""
    fingerprint = Fingerprint(
        files=dict(_states(release, (*_delivered(release), *_written(release), *_timers(release)))),
        services=_services(release),
        listens=site_ports(release),
        containers=_containers(release),
        directories=dict(_directories(release)),
    )
    _write(release, fingerprint)


def update(release: Release) -> None:
    """After the release was activated again: update the files and the containers that this made.

    All other changes stay visible as drift.
    """
    before = _read(release)
    if before is None:
        return
    files = {**before.files, **dict(_states(release, _written(release)))}
    # `up` has replaced every container that was not as recorded.
    containers = _containers(release) if before.containers.format else before.containers
    _write(release, replace(before, files=files, containers=containers))


def _delivered(release: Release) -> Iterator[Path]:
    """Files that nothing on the host changes."""
    paths = release.paths
    yield from (paths.plan, paths.compose, paths.override, paths.nginx, paths.given)


def _written(release: Release) -> Iterator[Path]:
    """Files that each activation writes, without certificates, which are renewed."""
    paths = release.paths
    yield from (paths.host, paths.resolved, paths.runs, paths.variables, paths.run_env)
    yield from (paths.env, release.app.generated)
    yield from (locate(release, secret.path) for secret in release.plan.secrets if secret.path)
    if release.plan.nginx:
        yield locate(release, release.plan.nginx.path)


def _timers(release: Release) -> Iterator[Path]:
    yield from schedule.unit_files(release.plan.app)


def _directories(release: Release) -> Iterator[tuple[str, str]]:
    for directory in release.plan.directories:
        with suppress(Failure, OSError), open_directory(release, directory.path) as handle:
            state = handle.state()
            owner = f"{state.st_uid}:{state.st_gid}"
            path = locate(release, directory.path)
            yield str(path), f"{owner} {stat.S_IMODE(state.st_mode):04o}"


def _states(release: Release, paths: Iterable[Path]) -> Iterator[tuple[str, FileState]]:
    """Of regular files; a container can put another kind of file in place of its own."""
    generated = tuple(sorted(secret.name for secret in release.plan.secrets if secret.generate))
    for path in paths:
        keys = generated if path == release.app.generated else ()
        if path == release.app.generated and not generated:
            continue
        with (
            suppress(Failure, OSError),
            open_recorded(release.app, path.parent) as handle,
            handle.read(path.name) as file,
        ):
            state = _file(file, keys)
            yield str(path), state


def _file(file: BinaryIO, keys: tuple[str, ...]) -> FileState:
    state = os.fstat(file.fileno())
    return FileState(
        sha256=_sha256(file.read(LARGEST), keys),
        mode=f"{stat.S_IMODE(state.st_mode):04o}",
        owner=f"{state.st_uid}:{state.st_gid}",
        keys=keys,
    )


def _sha256(content: bytes, keys: tuple[str, ...]) -> str:
    if keys:
        # A failed release may have generated others.
        with suppress(ValueError, AttributeError):  # damaged: all of it counts
            values = json.loads(content)
            content = json.dumps({key: values.get(key) for key in keys}, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _services(release: Release) -> dict[str, ServiceState]:
    sections = config(release)["services"]
    containers = release_containers(release)
    return {
        name: _service(sections[name], [c for c in containers if c.service == name])
        for name in services_to_start(release)
    }


def _containers(release: Release) -> ContainerStates:
    """The containers of one service are made alike."""
    states = {c.service: dict(c.made_with) for c in release_containers(release)}
    return ContainerStates(states, CONTAINER_FORMAT)


def _service(section: Mapping[str, Any], containers: list[Container]) -> ServiceState:
    """+ containers: its own, after the release was verified: whether they have really ended"""
    deploy = section.get("deploy") or {}
    count = section.get("scale", deploy.get("replicas"))
    has_ended = all(container.state == "exited" for container in containers)
    return ServiceState(
        count=1 if count is None else int(count),
        ports=tuple(sorted(filter(None, map(_port, section.get("ports") or ())))),
        ends=has_ended if containers else restart_policy(section) in (*ENDING, "none"),
    )


def _port(entry: Mapping[str, Any]) -> str:
    """ "" if the engine chooses the port."""
    published = str(entry.get("published") or "")
    if published in ("", "0"):
        return ""
    address = str(entry.get("host_ip") or "")
    prefix = "" if address in ("", "0.0.0.0", "::") else f"{address}:"  # noqa: S104
    return f"{prefix}{published}/{entry.get('protocol') or 'tcp'}"


def _write(release: Release, fingerprint: Fingerprint) -> None:
    write_json(release.paths.home / NAME, asdict(fingerprint), mode=0o600)


def _read(release: Release) -> Fingerprint | None:
    try:
        value = load_json(release.paths.home / NAME)
        return from_json(Fingerprint, value) if value["format"] == FORMAT else None
    except (OSError, ValueError, TypeError, LookupError):
        return None
