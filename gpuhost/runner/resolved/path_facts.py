"""Facts about paths that the Compose files name, in the source of a release and in shared/."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gpuhost.runner.docker.resolved_model import Model, running

ABSENT, FILE, DIRECTORY, EMPTY = "absent", "file", "directory", "empty"
SECCOMP, PROFILE = "seccomp=", "seccomp profile"


@dataclass(frozen=True)
class Roots:
    """Absolute directories.

    + apps: of all apps; files: see tree.py
    + base: the project directory, relative to the source
    """

    source: str
    shared: str
    files: str
    apps: str
    base: str = "."

    def relative(self, path: str) -> str | None:
        """The path in the source; None if it is outside."""
        return _inside(path, self.source)

    def is_of_apps(self, path: str) -> bool:
        """In gpuhost's own directories, and not data."""
        return _inside(path, self.apps) is not None and _inside(path, self.shared) is None


@dataclass(frozen=True)
class PathFacts:
    """A path of the source, and the same path of shared/.

    + source, shared: ABSENT, FILE, DIRECTORY, or EMPTY for a directory that has nothing but files
      like .gitkeep
    + digest: of the content in the source
    + examples: files of the source like NAME.example
    + leads_out: it is a link to a path outside the source
    """

    source: str = ABSENT
    shared: str = ABSENT
    digest: str = ""
    examples: tuple[str, ...] = ()
    leads_out: bool = False


@dataclass(frozen=True)
class Use:
    """Where the model names a path of the host.

    + holder, key: the dict and its key that has the path
    + kind: "bind", "config", "secret", PROFILE, or "volume" for a named volume with a directory of
      its own
    + service, target: of a bind
    + prefix: text before the path
    """

    holder: Any
    key: str | int
    kind: str
    name: str
    target: str = ""
    prefix: str = ""

    @property
    def path(self) -> str:
        text = str(self.holder[self.key]).removeprefix(self.prefix)
        normal = posixpath.normpath(text.replace("$$", "$"))
        # Which keeps two slashes.
        return normal[1:] if normal.startswith("//") else normal

    def put(self, path: str) -> None:
        """Name another path."""
        # Compose expands a single $.
        self.holder[self.key] = f"{self.prefix}{path.replace('$', '$$')}"

    @property
    def where(self) -> str:
        return f"{self.name}:{self.target}" if self.kind == "bind" else f"{self.kind} {self.name}"


def uses(model: Model) -> Iterator[Use]:
    """Every path of the host in the model, except build contexts."""
    for name, section in running(model).items():
        for volume in section.get("volumes") or ():
            if volume.get("type") == "bind":
                yield Use(volume, "source", "bind", name, str(volume.get("target")))
        options = section.get("security_opt") or []
        for index, option in enumerate(options):
            if str(option).startswith(f"{SECCOMP}/"):
                yield Use(options, index, PROFILE, name, prefix=SECCOMP)
    for kind in ("config", "secret"):
        for name, resource in (model.get(f"{kind}s") or {}).items():
            if resource.get("file"):
                yield Use(resource, "file", kind, name)
    for name, volume in (model.get("volumes") or {}).items():
        options = volume.get("driver_opts") or {}
        if str(options.get("device") or "").startswith("/") and "bind" in str(options.get("o")):
            yield Use(options, "device", "volume", name)


def mentioned(model: Model, roots: Roots) -> tuple[str, ...]:
    """The paths of the source that the model names, relative to it; and mount points in them."""
    paths = [(use, roots.relative(use.path)) for use in uses(model)]
    named = {path for _, path in paths if path is not None}
    points = (mount_points(model, use, path) for use, path in paths if path is not None)
    return tuple(sorted(named.union(*points)))


def mount_points(model: Model, use: Use, path: str) -> set[str]:
    """Paths in a bind's directory where other mounts of its service are.

    + path: of the bind, in the source
    """
    if use.kind != "bind":
        return set()
    section = model["services"][use.name]
    targets = [str(volume.get("target")) for volume in section.get("volumes") or ()]
    targets += [str(entry).partition(":")[0] for entry in section.get("tmpfs") or ()]
    inside = (posixpath.relpath(t, use.target) for t in targets if is_beneath(t, use.target))
    return {posixpath.normpath(posixpath.join(path, name)) for name in inside if name != "."}


def is_beneath(path: str, directory: str) -> bool:
    """Whether it is the directory, or in it."""
    return directory == "." or path == directory or path.startswith(f"{directory}/")


def _inside(path: str, root: str) -> str | None:
    if path == root:
        return "."
    return path[len(root) + 1 :] if path.startswith(f"{root}/") else None
