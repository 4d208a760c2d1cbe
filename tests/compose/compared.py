"""Compares what the runner starts with what Compose alone makes of a project.

Each difference that the runner may make is undone in the runner's model, if it is as it must be.
What remains is a fault.
"""

from __future__ import annotations

import filecmp
import posixpath
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from gpuhost.appfile.compose.project_files import has_content
from gpuhost.runner.docker.resolved_model import restart_policy
from gpuhost.runner.plan import Plan
from gpuhost.runner.resolved.limits import LOGGING
from gpuhost.runner.resolved.path_facts import is_beneath
from gpuhost.runner.resolved.read_back import with_own_keys
from tests.compose.on_host import Rendered

LOOPBACK = "127.0.0.1"
# Stand for the project directory, and for the release's source and shared/ on the host.
HERE, SOURCE, DATA = "<project>", "<source>", "<data>"
TOP = ("networks", "volumes", "configs", "secrets")


def differences(
    rendered: Rendered,
    alone: Mapping[str, Any],
    directory: Path,
    becomes: Mapping[str, Any],
    public: tuple[str, ...],
) -> list[str]:
    """What differs beside the differences of every project, a line each.

    + alone: the model that Compose alone makes in `directory`
    + becomes: service -> key -> the value on the host, or None: not there; service -> None
    + public: "service:port"
    """
    mine, theirs = deepcopy(dict(rendered.resolved)), with_own_keys(dict(alone))
    mine.pop("x-gpuhost-release", None)
    for key in [key for key in theirs if key.startswith("x-")]:
        del theirs[key]
    services = theirs["services"]
    _become(services, becomes)
    found = []
    for name in mine["services"].keys() & services.keys():
        service, other = mine["services"][name], services[name]
        for key in ("profiles", "develop"):
            other.pop(key, None)
        found += _undo(name, service, other, rendered, public)
        _undo_profiles(service, other, directory)
    for kind in ("configs", "secrets"):
        for name, resource in mine.get(kind, {}).items():
            _undo_resource(resource, theirs[kind][name], rendered)
    release = rendered.release
    roots = {str(release.source): SOURCE, str(release.app.shared): DATA, str(directory): HERE}
    mine, theirs = _moved(mine, roots), _moved(theirs, {str(directory): HERE})
    mine = _as_project(mine, directory, _named_data(release.plan))
    _drop_unused(mine, theirs)
    return [*found, *_unequal("", mine, theirs)]


def _become(services: dict[str, Any], becomes: Mapping[str, Any]) -> None:
    for name, keys in becomes.items():
        if keys is None:
            del services[name]
            continue
        for key, value in keys.items():
            if value is None:
                services[name].pop(key)
            else:
                services[name][key] = value


def _undo(
    name: str,
    service: dict[str, Any],
    other: dict[str, Any],
    rendered: Rendered,
    public: tuple[str, ...],
) -> Iterator[str]:
    if "logging" not in other and service.get("logging") == LOGGING:
        del service["logging"]
    if restart_policy(other) == "" and service.get("restart") == "on-failure":
        del service["restart"]
    check, as_declared = service.get("healthcheck") or {}, other.get("healthcheck") or {}
    if check.get("start_period") and "start_interval" not in as_declared:
        check.pop("start_interval", None)
    _as_written(other)
    needed = other.get("depends_on", {})
    for missing in needed.keys() - rendered.resolved["services"].keys():
        # A name that may be missing stays in Compose's answer.
        if not needed[missing]["required"]:
            del needed[missing]
    yield from _ports(name, service, other, public)
    for volume, declared in zip(
        service.get("volumes") or (), other.get("volumes") or (), strict=False
    ):
        _undo_file(volume, declared, rendered)


def _undo_profiles(service: dict[str, Any], other: dict[str, Any], directory: Path) -> None:
    """A seccomp profile of the project is mounted from a copy."""
    options = service.get("security_opt") or []
    for index, declared in enumerate(other.get("security_opt") or ()):
        path = directory / declared.removeprefix("seccomp:")
        copy = Path(options[index].removeprefix("seccomp="))
        if path.is_file() and copy.is_file() and filecmp.cmp(path, copy, shallow=False):
            options[index] = declared


def _as_written(service: dict[str, Any]) -> None:
    """What Compose does not read of its own answer, and a limit that the file says twice."""
    limits = service.get("ulimits") or {}
    for name, value in limits.items():
        if isinstance(value, dict):
            limits[name] = {"soft": 0, "hard": 0, **value} if value else 0
    for entries in (service.get("blkio_config") or {}).values():
        for entry in entries if isinstance(entries, list) else ():
            for key in list(entry):
                entry[key.lower()] = entry.pop(key)
    limited = service.get("deploy", {}).get("resources", {}).get("limits", {})
    if service.get("mem_limit") == limited.get("memory"):
        service.pop("mem_limit", None)


def _ports(
    name: str, service: dict[str, Any], other: dict[str, Any], public: tuple[str, ...]
) -> Iterator[str]:
    """Every port must be on a loopback address, except the public ones."""
    expected = []
    for port in other.get("ports") or ():
        is_public = f"{name}:{port.get('published')}" in public
        if not is_public and port.get("host_ip") not in (LOOPBACK, "::1"):
            port["host_ip"] = LOOPBACK
        expected += [port] if port not in expected else []
    if expected:
        other["ports"] = expected
    for port in service.get("ports") or ():
        is_public = f"{name}:{port.get('published')}" in public
        if not is_public and port.get("host_ip") not in (LOOPBACK, "::1"):
            yield f"{name}: port {port} is not on a loopback address"


def _undo_file(volume: dict[str, Any], declared: dict[str, Any], rendered: Rendered) -> None:
    """A file of the project: the same content, read-only, from files/."""
    files = f"{rendered.release.app.files}/"
    source = str(volume.get("source"))
    if source.startswith(files) and _same(Path(source), Path(declared["source"])):
        volume["source"] = declared["source"]
        assert volume.pop("read_only") is True
        declared.pop("read_only", None)
        assert volume["bind"].pop("create_host_path") is False
        declared.get("bind", {}).pop("create_host_path", None)
        for one in (volume, declared):
            if not one.get("bind"):
                one.pop("bind", None)


def _undo_resource(resource: dict[str, Any], declared: dict[str, Any], rendered: Rendered) -> None:
    file = str(resource.get("file"))
    is_of_project = file.startswith(f"{rendered.release.app.files}/")
    if is_of_project and _same(Path(file), Path(declared["file"])):
        resource["file"] = declared["file"]


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink():
        return other.is_symlink() and one.readlink() == other.readlink()
    if one.is_file():
        return other.is_file() and one.read_bytes() == other.read_bytes()
    compared = filecmp.dircmp(one, other, ignore=[])
    # The app file may be in the project, or be its Compose file.
    names = {*compared.left_only, *compared.right_only} - {"compose.yaml", f"{other.name}.yaml"}
    return not names and all(_same(one / name, other / name) for name in compared.common)


def _moved(value: Any, roots: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _moved(item, roots) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, roots) for item in value]
    if isinstance(value, str):
        for root, name in roots.items():
            value = value.replace(root, name)
    return value


def _named_data(plan: Plan) -> list[str]:
    paths = (*(one.path for one in plan.directories), *(s.path for s in plan.secrets if s.path))
    return [posixpath.normpath(path) for path in paths]


def _as_project(value: Any, directory: Path, named: Collection[str]) -> Any:
    """Paths of the source or of shared/ as paths of the project, if they are where they must be.

    What the project has is in the source; what it lacks, or `named` has, is data.
    """
    if isinstance(value, dict):
        return {key: _as_project(item, directory, named) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_project(item, directory, named) for item in value]
    root = next((one for one in (SOURCE, DATA) if isinstance(value, str) and one in value), None)
    if root is None:
        return value
    path = posixpath.normpath(value.partition(root)[2].partition(":")[0].lstrip("/"))
    is_there = (directory / path).is_file() or has_content(directory / path)
    is_data = any(is_beneath(path, name) for name in named) or not is_there
    return value.replace(root, HERE) if is_data is (root == DATA) else value


def _drop_unused(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """What no service uses: Compose alone would not create it either."""
    for kind in TOP:
        for name in theirs.get(kind, {}).keys() - mine.get(kind, {}).keys():
            if f'"{name}"' not in repr(theirs["services"]).replace("'", '"'):
                del theirs[kind][name]
        if kind in theirs and not theirs[kind]:
            del theirs[kind]


def _unequal(where: str, mine: Any, theirs: Any) -> Iterator[str]:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in sorted(mine.keys() | theirs.keys()):
            path = f"{where}.{key}".lstrip(".")
            yield from _unequal(path, mine.get(key, "(absent)"), theirs.get(key, "(absent)"))
    elif mine != theirs:
        yield f"{where}: {mine!r} on the host, {theirs!r} by Compose alone"
