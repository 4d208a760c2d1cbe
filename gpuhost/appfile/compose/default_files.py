"""The Compose files of a project, where nobody names them: as Compose finds them itself."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from gpuhost.appfile.compose.project_files import Kind, ProjectFiles

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)


def default_files(
    project: ProjectFiles, environment: Mapping[str, object], *, but: str = ""
) -> tuple[str, ...]:
    """The files that COMPOSE_FILE of .env names, else those with a default name.

    + but: the app file, which is not a file of its project
    """
    named = environment.get("COMPOSE_FILE")
    if isinstance(named, str) and named:
        separator = environment.get("COMPOSE_PATH_SEPARATOR")
        parts = named.split(separator if isinstance(separator, str) and separator else ":")
        return tuple(posixpath.normpath(part) for part in parts if part)
    found = [first for names in (NAMES, OVERRIDES) if (first := _first(project, names, but))]
    return tuple(found) if found and found[0] in NAMES else ()


def _first(project: ProjectFiles, names: tuple[str, ...], but: str) -> str | None:
    files = (name for name in names if name != but)
    return next((name for name in files if project.kind(name) is Kind.FILE), None)
