"""Files of Compose's own `secrets` that the source lacks."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.project_files import Kind
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Proposal, Proposed, Value
from gpuhost.appfile.proposing.secret_names import is_own


def proposals(project: Project, own: set[str]) -> Iterator[Proposed]:
    """`secrets: {NAME: {file: …}}` that the source lacks."""
    for name, secret in project.compose.secrets.items():
        path = posixpath.normpath(secret.file or ".")
        inside = project.in_directory(path)
        is_lacking = secret.file and is_of_source(secret.file)
        # One that leads out of the source is refused with the project.
        if inside is None or not is_lacking or project.tree.kind(path) is not Kind.ABSENT:
            continue
        said = f"{project.where('secrets', name)}: {path} is not in the source"
        variable = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
        variable = f"SECRET_{variable}" if not re.match(r"[A-Z]", variable) else variable
        value: dict[str, Value] = {"path": inside}
        if is_own(variable, own):
            value = {"generate": "hex", **value}
        yield Proposal(("secrets", variable), value, said)
