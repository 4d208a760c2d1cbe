"""The app file of a project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.project import ComposeProject
from gpuhost.appfile.document import read_all
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import complete
from gpuhost.appfile.model import XGpuhost
from gpuhost.appfile.proposing import (
    candidates,
    cards,
    databases,
    directories,
    env_files,
    health,
    secrets,
    services,
    sites,
    variables,
    variants,
)
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed
from gpuhost.appfile.proposing.reading import dotenv_of, read
from gpuhost.appfile.proposing.rendering import one_line, rendered
from gpuhost.appfile.proposing.tree import Tree

# Compose's own rules.
SERVICE = re.compile(r"[a-zA-Z0-9._-]+")
PROFILE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@dataclass(frozen=True)
class ProposedApp:
    """+ text: of the app file, which is valid

    + given: secrets that come from the environment; files: those that are files, with examples
    + todo: how many decisions are left
    """

    text: str
    given: tuple[str, ...]
    files: tuple[tuple[str, str | None], ...]
    todo: int


def propose(name: str, path: Path, tree: Tree, source: Sequence[Proposed]) -> ProposedApp:
    """+ path: of the app file; source: its section `source`

    Raises BadApp: the project has no Compose file, or one that Compose refuses.
    """
    chosen = candidates.choose(tree, dotenv_of(tree, "."))
    if chosen is None:
        raise BadApp(["it has no Compose file; write one, or an app file with services of its own"])
    project = read(tree, chosen.files, name)
    if project.errors:
        raise BadApp([str(error) for error in project.errors])
    if not project.compose.services:
        raise BadApp([f"{', '.join(chosen.files)}: it has no services"])
    if refused := list(_refused_names(project)):
        raise BadApp(refused)
    project = replace(project, active=variants.active(project))
    missing = env_files.missing_files(project)
    proposed = (*source, *candidates.proposals(tree, chosen), *_of_project(project, missing))
    text = rendered(_head(name), proposed)
    app = complete(_unread(name, path, text), tree)
    given = [
        secret
        for secret, of in app.block.secrets.items()
        if not of.generate and of.value is None and of.file is None
    ]
    files = [(file.file(name), file.example) for file in missing if file.required]
    todo = sum(isinstance(one, Note) and one.todo for one in proposed)
    return ProposedApp(text, tuple(given), tuple(files), todo)


def _refused_names(project: Project) -> Iterator[str]:
    """Names that Compose refuses; the block could not hold them either."""
    for name, service in project.compose.services.items():
        where = project.where("services", name)
        if not SERVICE.fullmatch(name):
            said = "a service's name has only letters, digits, ., _ and -"
            yield f"{where}: services.{one_line(name)}: {said}"
        for profile in service.profiles:
            if profile and not PROFILE.fullmatch(profile):
                said = f"profiles: {one_line(profile)}: not a name"
                yield f"{where}: services.{one_line(name)}.{said}"


def _of_project(project: Project, missing: list[env_files.MissingFile]) -> list[Proposed]:
    # What the .env of a secret sets is not known here.
    by_file = env_files.has_dotenv(missing)
    of_secrets = list(secrets.proposals(project, dotenv_is_secret=by_file))
    given = {one.path[1] for one in of_secrets if isinstance(one, Proposal) and not one.suggested}
    secret_files = [file.path for file in missing]
    return [
        *([] if by_file else variables.proposals(project, given)),
        *env_files.proposals(project, missing),
        *of_secrets,
        *services.proposals(project),
        *cards.proposals(project),
        *variants.proposals(project),
        *directories.proposals(project, secret_files),
        *databases.proposals(project),
        *health.proposals(project),
        *sites.proposals(project),
    ]


def _head(name: str) -> list[str]:
    return [
        f"{name}: made by `gpuhost init --app {name} --from …` of the project's own files. The "
        "comments say where each line was read; lines that are comments are suggestions.",
    ]


def _unread(name: str, path: Path, text: str) -> App:
    """An app whose file is not written yet."""
    documents = read_all(text)
    return App(
        name, path, text.encode(), ComposeProject(), XGpuhost(), documents, is_complete=False
    )
