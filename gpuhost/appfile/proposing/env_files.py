"""Env files of services that the source lacks: secrets that are files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.project_files import Kind
from gpuhost.appfile.compose.variables import DOTENV
from gpuhost.appfile.proposing import examples
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed
from gpuhost.appfile.proposing.secret_names import is_secret


@dataclass(frozen=True)
class MissingFile:
    """+ path: in the source; inside: as the block names it

    + required: Compose refuses the project without it
    + example: a file of the source that shows what is in it
    """

    path: str
    inside: str
    required: bool
    services: tuple[str, ...]
    where: str
    example: str | None

    @property
    def _label(self) -> str:
        """Another one for .env and ../.env."""
        return re.sub(r"^(?:\.\./)+", "source/", self.inside)

    @property
    def secret(self) -> str:
        name = re.sub(r"[^A-Z0-9]+", "_", self._label.upper()).strip("_")
        name = name.removeprefix("ENV_").removesuffix("_ENV")
        return "ENV_FILE" if self.inside == DOTENV else f"ENV_FILE_{name}"

    def file(self, app: str) -> str:
        """Beside the app file; `*.env` is not committed."""
        middle = re.sub(r"[^a-z0-9]+", "-", self._label.lower()).strip("-")
        middle = re.sub(r"^env-|-env$|^env$", "", middle)
        return f"{app}.{middle}.env" if middle else f"{app}.env"


def missing_files(project: Project) -> list[MissingFile]:
    found: dict[str, MissingFile] = {}
    for name, service in project.services():
        for file in service.env_files:
            path = posixpath.normpath(file.path)
            inside = project.in_directory(path)
            is_absent = project.tree.kind(path) is Kind.ABSENT
            # One that leads out of the source is refused with the project.
            if not is_of_source(file.path) or inside is None or not is_absent:
                continue
            known = found.get(path)
            found[path] = MissingFile(
                path,
                inside,
                file.required or bool(known and known.required),
                (*(known.services if known else ()), name),
                known.where if known else project.where("services", name, "env_file"),
                examples.example_for(project.tree, path),
            )
    return list(found.values())


def has_dotenv(missing: list[MissingFile]) -> bool:
    """Whether .env, which Compose itself reads too, is a secret."""
    return any(file.inside == DOTENV and file.required for file in missing)


def proposals(project: Project, missing: list[MissingFile]) -> Iterator[Proposed]:
    for file in missing:
        if not file.required:
            continue
        shows = f"; {file.example} shows what is in it" if file.example else ""
        said = f"{file.where}: env_file {file.path} is not in the source{shows}"
        value = {"file": file.file(project.name), "path": file.inside}
        yield Proposal(("secrets", file.secret), value, said)
        if names := _to_give(project, file):
            yield Note("secrets", f"{value['file']} holds, among others: {', '.join(names)}")


def _to_give(project: Project, file: MissingFile) -> list[str]:
    known = examples.read(project.tree, file.example) if file.example else {}
    return [
        one.name for one in known.values() if is_secret(one.name, one.value) and not one.commented
    ]
