"""directories: bind mounts that hold data."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.project_files import Kind
from gpuhost.appfile.compose.short_forms import Volume
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed
from gpuhost.appfile.proposing.stores import kind_of

NUMBER = re.compile(r"[0-9]+(?::[0-9]+)?")
DATA = re.compile(
    r"data|db|database|storage|store|uploads?|outputs?|results?|logs?|cache|models?|volumes?|media"
    r"|workspace|tmp|temp|backups?|persist|files|pgdata|hf|huggingface|weights|checkpoints"
)
SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")


@dataclass(frozen=True)
class Bind:
    """+ path: in the source"""

    service: str
    path: str
    mount: Volume
    where: str
    kind: Kind

    @property
    def is_file(self) -> bool:
        """Whether a path that the source lacks is meant to be a file: as the runner decides."""
        names = posixpath.basename(self.path), posixpath.basename(self.mount.target)
        has_suffix = all(SUFFIX.search(name) and not name.endswith(".d") for name in names)
        return self.mount.must_exist or (has_suffix and not self.path.startswith("."))


def binds(project: Project) -> Iterator[Bind]:
    """Of the services that run, in the source."""
    for name, service in project.services():
        for index, mount in enumerate(service.mounts):
            if is_of_source(mount.source):
                path = posixpath.normpath(mount.source)
                where = project.where("services", name, "volumes", index)
                yield Bind(name, path, mount, where, project.tree.kind(path))


def data(project: Project) -> Iterator[Bind]:
    """Binds of data; one for each path."""
    paths = set()
    for bind in binds(project):
        is_data = bind.kind is Kind.EMPTY or (bind.kind is Kind.ABSENT and not bind.is_file)
        if is_data and bind.path not in paths:
            paths.add(bind.path)
            yield bind


def proposals(project: Project, secret_files: Collection[str]) -> Iterator[Proposed]:
    """+ secret_files: files that secrets write"""
    for bind in data(project):
        yield from _of_data(project, bind)
    seen = set(secret_files)
    for bind in binds(project):
        if bind.path in seen:
            continue
        seen.add(bind.path)
        if bind.kind is Kind.ABSENT and bind.is_file:
            yield Note("directories", _missing(project, bind), todo=True)
        elif bind.kind is Kind.DIRECTORY and not bind.mount.read_only:
            yield from _of_content(project, bind)


def _of_data(project: Project, bind: Bind) -> Iterator[Proposed]:
    path = project.in_directory(bind.path)
    state = "empty in the source" if bind.kind is Kind.EMPTY else "not in the source"
    said = f"{bind.where}: {bind.path} is {state}: data"
    if bind.mount.read_only:
        said += f", which the app only reads; put its files into shared/{bind.path} on the host"
    if path is None:
        yield Note("directories", f"{said}; it needs no entry here")
        return
    owner, reason = _owner(project, bind.service)
    value = {"owner": owner} if owner else {}
    yield Proposal(("directories", path), value, f"{said}{reason}")


def _owner(project: Project, service: str) -> tuple[str, str]:
    """The owner, and why; "" for root."""
    user = project.raw(service).get("user")
    where = project.where("services", service, "user")
    if user is None and (dockerfile := project.dockerfile(service)) and dockerfile.user:
        user, where = dockerfile.user.text, dockerfile.user.where
    if user is None or kind_of(project.compose.services[service]):
        return "", ""
    text = str(user)
    if NUMBER.fullmatch(text):
        number, _, group = text.partition(":")
        owner = f"{int(number)}:{int(group or number)}"
        return ("", "") if owner == "0:0" else (owner, f"; {where}: user {text}")
    if text in ("root", "root:root") or "$" in text:
        return "", ""
    return "", f"; {where} runs as {text}: set owner to the number that it has in the image"


def _missing(project: Project, bind: Bind) -> str:
    examples = [
        name
        for name in project.tree.names
        if re.fullmatch(
            rf"{re.escape(bind.path)}[.\-](?:example|sample|template|dist|default)", name
        )
    ]
    hint = f"; {examples[0]} shows what is in it" if examples else ""
    return (
        f"{bind.where} mounts the file {bind.path}, which is not in the source{hint}: put it in "
        "the source, make it a secret with `path`, or create it on the host, in shared/"
    )


def _of_content(project: Project, bind: Bind) -> Iterator[Proposed]:
    path = project.in_directory(bind.path)
    if path in (None, "."):
        if path == ".":
            yield Note(
                "directories",
                f"{bind.where} mounts the whole source at {bind.mount.target}, read-only here: "
                "that is for development",
            )
        return
    if DATA.fullmatch(posixpath.basename(bind.path).lower()):
        said = f"{bind.where}: if the app writes there; what the source has is copied once"
        yield Proposal(("directories", str(path)), {}, said, suggested=True)
