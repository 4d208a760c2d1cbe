"""The variables of a project: .env, the block's `variables`, secrets, and what the host sets."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpuhost.appfile.compose.dotenv import parse
from gpuhost.appfile.compose.interpolation import Lookup, OnHost
from gpuhost.appfile.compose.project_files import Kind, ProjectFiles, Unreadable
from gpuhost.runner.contract import ENV_EXAMPLES

# Set on the host, in the environment of Compose. GPUHOST_…: for app files that use them; files of
# the source no longer need them.
OF_THE_HOST = ("HOME", "PWD", "PATH", "GPUHOST_SOURCE", "GPUHOST_RELEASE")
DOTENV = ".env"


@dataclass(frozen=True)
class Variables:
    """What ${NAME} is in the files of a project.

    + given: the block's variables
    + secrets: names that are set on the host
    + dotenv: of .env; its values are never shown
    + dotenv_of_host: .env is a secret, which only the host has
    """

    given: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    dotenv: Mapping[str, str | OnHost] = field(default_factory=dict, repr=False)
    dotenv_of_host: bool = False
    project: str | None = None

    def lookup(self, name: str) -> str | OnHost | None:
        if name in self.secrets or name in OF_THE_HOST:
            return OnHost.SET
        if name == "COMPOSE_PROJECT_NAME":
            return self.project or OnHost.SET
        if name in self.given:
            return self.given[name]
        return self.dotenv.get(name, OnHost.MAYBE if self.dotenv_of_host else None)


def read_dotenv(project: ProjectFiles, path: str, lookup: Lookup) -> dict[str, str | OnHost]:
    """The variables of a file; none if it is absent. Raises Unreadable."""
    return parse(project.read(path), lookup) if project.kind(path) is Kind.FILE else {}


def example_of(project: ProjectFiles, directory: str, name: str) -> str:
    """What an example file beside .env says of a variable: ".env.example has DATA=."; or ""."""
    for file in ENV_EXAMPLES:
        path = posixpath.normpath(posixpath.join(directory, file))
        try:
            text = project.read(path) if project.kind(path) is Kind.FILE else ""
        except Unreadable:
            continue
        for line in text.splitlines():
            words = line.strip().lstrip("# ").removeprefix("export ")
            if words.partition("=")[0].strip() == name and "=" in words:
                return f"{file} has {words[:80]}"
    return ""
