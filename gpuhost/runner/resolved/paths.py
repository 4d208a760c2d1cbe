"""Paths of the project: its own files, which are mounted read-only, and data in shared/."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from gpuhost.runner.docker.resolved_model import Model
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Plan
from gpuhost.runner.resolved import path_refusals
from gpuhost.runner.resolved.path_facts import (
    ABSENT,
    DIRECTORY,
    EMPTY,
    FILE,
    PathFacts,
    Roots,
    Use,
    is_beneath,
    mount_points,
    uses,
)


@dataclass(frozen=True)
class WithPaths:
    """The model with the paths of this host.

    + files: paths of the source that are mounted from files/, with their digests
    + copies: paths whose content in the source is copied into shared/
    """

    model: Model
    notes: tuple[str, ...]
    files: Mapping[str, str]
    copies: tuple[str, ...]


def paths(model: Model, plan: Plan, roots: Roots, facts: Mapping[str, PathFacts]) -> WithPaths:
    """+ facts: by path in the source, for each that the model names

    Raises Failure.
    """
    return _Paths(deepcopy(model), plan, roots, facts).run()


class _Paths:
    def __init__(
        self, model: Model, plan: Plan, roots: Roots, facts: Mapping[str, PathFacts]
    ) -> None:
        self.model, self.plan, self.roots, self.facts = model, plan, roots, facts
        self.directories = [posixpath.normpath(d.path) for d in plan.directories]
        self.named = [*self.directories, *_written(plan)]
        self.notes: dict[str, None] = {}
        self.files: dict[str, str] = {}
        self.copies: dict[str, None] = {}

    def run(self) -> WithPaths:
        for use in uses(self.model):
            path = self.roots.relative(use.path)
            if path is not None:
                self._change(use, path, self.facts[path])
            elif self.roots.is_of_apps(use.path):
                raise Failure(
                    f"{use.where}: its path leads out of the source, to {use.path}",
                    fix="use an absolute path of the host outside /opt/gpuhost",
                )
        return WithPaths(self.model, tuple(self.notes), self.files, tuple(self.copies))

    def _change(self, use: Use, path: str, facts: PathFacts) -> None:
        if facts.leads_out:
            raise Failure(
                f"{use.where}: {path} is a link that leads out of the source",
                fix="replace the link by the file, or use an absolute path of the host",
            )
        if use.kind == "volume" or self._is_data(path, facts):
            self._to_data(use, path, facts)
            return
        if facts.shared in (FILE, DIRECTORY) and not self._holds_others(path):
            raise path_refusals.both(use, path, facts)
        if self._is_writable(use, path):
            self._note(
                f"{use.where}: {path} of the source, writable; each release starts with the "
                "source's own copy"
            )
            return
        self._refuse_hidden_secrets(use, path)
        self.files[path] = facts.digest
        # The project directory itself has no name of its own.
        name = "source" if path == "." else posixpath.basename(path)
        use.put(f"{self.roots.files}/{facts.digest}/{name}")
        if use.kind == "bind":
            use.holder["read_only"] = True
            # A missing file is an error, not a new directory.
            use.holder["bind"] = {**(use.holder.get("bind") or {}), "create_host_path": False}

    def _is_writable(self, use: Use, path: str) -> bool:
        """Declared so; or the engine has to make mount points in it."""
        if f"{use.name}:{use.target}" in self.plan.writable:
            return True
        if use.kind != "bind" or use.holder.get("read_only"):
            return False
        points = mount_points(self.model, use, path)
        facts = (self.facts[point] for point in points)
        return any(one.source == ABSENT and not one.leads_out for one in facts)

    def _refuse_hidden_secrets(self, use: Use, path: str) -> None:
        """A secret's file is in shared/, not in a directory of the source."""
        hidden = [s.path for s in self.plan.secrets if s.path and is_beneath(s.path, path)]
        said = (
            f"{use.where}: {path} of the source is mounted, without the secret {', '.join(hidden)}"
        )
        if hidden and is_beneath(self.roots.base, path):
            self._note(said)
        elif hidden:
            own = posixpath.relpath(path, self.roots.base)
            raise Failure(
                said,
                fix=f"name {own} in x-gpuhost.directories: then it is data, with the secret, and "
                "its content in the source is copied once",
            )

    def _to_data(self, use: Use, path: str, facts: PathFacts) -> None:
        in_source = facts.source in (FILE, DIRECTORY)
        is_new = facts.shared in (ABSENT, EMPTY)
        is_named = any(is_beneath(path, name) for name in self.named)
        if is_new and in_source and not any(is_beneath(path, name) for name in _written(self.plan)):
            self.copies[path] = None
            self._note(f"{use.where}: {path} is data; its content in the source is copied once")
        elif facts.shared == ABSENT and not is_named and (reason := path_refusals.not_made(use)):
            if facts.source != EMPTY:
                raise path_refusals.missing(use, path, facts, reason, self.roots.base)
            self.copies[path] = None  # an empty directory of the project: it is made
        elif not is_named:
            self._note(f"{use.where}: {path} is data, in shared/{path}")
        use.put(posixpath.normpath(f"{self.roots.shared}/{path}"))

    def _is_data(self, path: str, facts: PathFacts) -> bool:
        if facts.source in (ABSENT, EMPTY):
            return True
        return any(is_beneath(path, name) for name in self.named)

    def _holds_others(self, path: str) -> bool:
        """Data in it has a place of its own in shared/: then shared/ has the directory too."""
        if is_beneath(self.roots.base, path):
            return True
        used = {self.roots.relative(use.path) for use in uses(self.model)}
        others = {other for other in (*used, *self.named) if other and other != path}
        return any(is_beneath(other, path) for other in others)

    def _note(self, text: str) -> None:
        self.notes[text] = None


def _written(plan: Plan) -> Iterator[str]:
    """Files that gpuhost itself writes to shared/."""
    yield from (posixpath.normpath(s.path) for s in plan.secrets if s.path)
    if plan.nginx and plan.nginx.where == "container":
        yield from map(posixpath.normpath, filter(None, (plan.nginx.path,)))
        yield from map(posixpath.normpath, filter(None, (plan.nginx.certificate_dir,)))
