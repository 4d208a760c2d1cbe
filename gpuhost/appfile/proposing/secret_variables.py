"""Variables of the Compose files that are named like secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.secret_names import is_secret
from gpuhost.appfile.proposing.used import Use


@dataclass(frozen=True)
class Variable:
    """A variable of the Compose files that is named like a secret.

    + uses: empty, if the files give its value themselves
    """

    name: str
    uses: tuple[Use, ...]
    services: tuple[str, ...]

    @property
    def is_needed(self) -> bool:
        return any(use.default is None and not use.passed for use in self.uses)

    @property
    def defaults(self) -> tuple[str, ...]:
        return tuple(use.default for use in self.uses if use.default)


def variables(project: Project) -> list[Variable]:
    """Those that are named like secrets, of what runs."""
    by_name: dict[str, list[Use]] = {}
    for use in project.uses:
        if not use.services or project.active.intersection(use.services):
            by_name.setdefault(use.name, []).append(use)
    return [
        Variable(name, tuple(uses), tuple(_services(project, uses)))
        for name, uses in by_name.items()
        if is_secret(name, _known_value(project, name, uses)) and not _is_path(uses)
    ]


def _is_path(uses: Sequence[Use]) -> bool:
    """By their default."""
    return any(use.default and use.default.startswith(("/", "./")) for use in uses)


def _known_value(project: Project, name: str, uses: Sequence[Use]) -> str:
    example = project.examples.get(name)
    return " ".join(
        (
            (example.value or example.composed) if example else "",
            *(use.default or "" for use in uses),
        )
    )


def _services(project: Project, uses: Sequence[Use]) -> Iterator[str]:
    """Also those that read it from an env file."""
    used = {service for use in uses for service in use.services}
    names = {use.name for use in uses}
    for service in project.compose.services:
        if service in used or names & project.names_in_env_files(service):
            yield service


def known_values(project: Project, variable: Variable) -> list[str]:
    """Its defaults and placeholders, in the files and in .env."""
    example, of_dotenv = project.examples.get(variable.name), project.dotenv.get(variable.name)
    values = [*variable.defaults, example.value if example else ""]
    return [*values, of_dotenv if isinstance(of_dotenv, str) else ""]


def is_left_out(project: Project, variable: Variable) -> bool:
    """Whether the project itself runs without it, by its example."""
    is_required = any(use.required for use in variable.uses)
    return not is_required and bool(project.left_out(variable.name))
