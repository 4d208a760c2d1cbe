"""variables: what the Compose files use without a default, and that is no secret."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.appfile.compose.variables import OF_THE_HOST
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed
from gpuhost.appfile.proposing.secret_names import LOGIN_IN_URL
from gpuhost.appfile.proposing.secret_variables import variables as secret_variables
from gpuhost.appfile.proposing.used import MAY_BE_EMPTY, Use


def proposals(project: Project, *, dotenv_is_secret: bool) -> Iterator[Proposed]:
    if dotenv_is_secret:
        return
    of_secrets = {variable.name for variable in secret_variables(project)}
    by_name: dict[str, list[Use]] = {}
    for use in project.uses:
        is_running = not use.services or project.active.intersection(use.services)
        if is_running and use.default is None and use.name not in of_secrets:
            by_name.setdefault(use.name, []).append(use)
    for name, uses in by_name.items():
        is_known = name in project.dotenv or name in OF_THE_HOST or name.startswith("COMPOSE_")
        if not is_known:
            yield from _of(project, name, uses)


def _of(project: Project, name: str, uses: list[Use]) -> Iterator[Proposed]:
    example, place = project.examples.get(name), uses[0].place
    is_passed = all(use.passed for use in uses)
    if example and (example.value or not _must_be_set(uses)):
        if is_passed and (example.commented or not example.value):
            return
        if LOGIN_IN_URL.search(example.value):
            yield Note(
                "variables", f"{name} ({place}): {example.place} has a login in it", todo=True
            )
            return
        yield Proposal(("variables", name), example.value, f"{place}; {example.place}")
    elif is_passed:
        return
    elif _must_be_set(uses):
        said = f"{name} ({place}) has no default, and no example says what it is"
        yield Note("variables", f"{said}; a release is refused without it", todo=True)
        yield Proposal(("variables", name), "", place, suggested=True)
    else:
        said = "nothing says what it is; without it Compose would take an empty text too"
        yield Proposal(("variables", name), "", f"{place}; {said}")


def _must_be_set(uses: list[Use]) -> bool:
    return any(use.required or not (use.passed or use.key in MAY_BE_EMPTY) for use in uses)
