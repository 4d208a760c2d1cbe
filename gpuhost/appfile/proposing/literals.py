"""Values that the Compose files write themselves for variables that are named like secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.secret_names import is_secret
from gpuhost.appfile.proposing.used import VARIABLE

# One variable with its default: a URL that is a secret itself.
IS_VARIABLE = re.compile(r"\$\{[^}]*\}")
# Shorter text is found everywhere.
LEAST = 4


@dataclass(frozen=True)
class Literal:
    """+ elsewhere: the value is written under another name too, or in another text"""

    name: str
    value: str = field(repr=False)
    services: tuple[str, ...]
    where: str
    elsewhere: bool = False


def literals(project: Project) -> Iterator[Literal]:
    """One for each name; services that have it, with one value."""
    found: dict[str, dict[str, str]] = {}
    for service, _ in project.services():
        for name, value in project.written_environment(service).items():
            if not VARIABLE.search(value) and is_secret(name, value):
                found.setdefault(name, {})[service] = value
    for name, by_service in found.items():
        values = set(by_service.values())
        first = next(iter(by_service))
        yield Literal(
            name,
            by_service[first],
            tuple(by_service),
            project.where_of(first, name),
            elsewhere=len(values) > 1 or _is_elsewhere(project, name, by_service[first]),
        )


def _is_elsewhere(project: Project, name: str, value: str) -> bool:
    if len(value) < LEAST:
        return False
    return any(
        value in given
        for service, _ in project.services()
        for other, given in project.written_environment(service).items()
        if other != name
    )


def written_elsewhere(project: Project, values: Sequence[str]) -> str:
    """A line where a value of the secret is written out in a URL; "" if there is none."""
    logins = [f":{value}@" for value in values if value]
    for service, _ in project.services():
        for other, text in project.written_environment(service).items():
            if not IS_VARIABLE.fullmatch(text) and any(login in text for login in logins):
                return project.where_of(service, other)
    used = {use.name for use in project.uses}
    for other, value in project.dotenv.items():
        written = value if isinstance(value, str) and other in used else ""
        if any(login in written for login in logins):
            return f".env ({other})"
    return ""
