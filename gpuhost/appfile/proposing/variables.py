"""variables: what the Compose files use without a default, and that is no secret."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gpuhost.appfile.compose.variables import OF_THE_HOST
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed
from gpuhost.appfile.proposing.secret_names import is_secret
from gpuhost.appfile.proposing.used import MAY_BE_EMPTY, Use


def proposals(project: Project, given: Collection[str]) -> Iterator[Proposed]:
    """+ given: names that are secrets"""
    by_name: dict[str, list[Use]] = {}
    for use in project.uses:
        is_running = not use.services or project.active.intersection(use.services)
        if is_running and use.default is None and use.name not in given:
            by_name.setdefault(use.name, []).append(use)
    for name, uses in by_name.items():
        is_known = name in project.dotenv or name in OF_THE_HOST or name.startswith("COMPOSE_")
        if not is_known:
            yield from _of(project, name, uses)


def _of(project: Project, name: str, uses: list[Use]) -> Iterator[Proposed]:
    example, where = project.examples.get(name), uses[0].where
    is_passed = all(use.passed for use in uses)
    value = example.value if example and not is_secret(name, example.value) else ""
    if example and (value or not _must_be_set(uses)):
        if is_passed and (example.commented or not value):
            return
        # What is a comment there is off; but a port or a path is needed.
        is_off = example.commented and not _must_be_set(uses)
        said = f"{where}; {example.where}" + (" leaves it out" if is_off else "")
        yield Proposal(("variables", name), "" if is_off else value, said)
    elif is_passed:
        return
    elif _must_be_set(uses):
        said = f"{name} ({where}) has no default, and no example says what it is"
        yield Note("variables", f"{said}; a release is refused without it", todo=True)
        yield Proposal(("variables", name), "", where, suggested=True)
    else:
        said = project.left_out(name) or "nothing says what it is"
        yield Proposal(("variables", name), "", f"{where}; {said}: empty, as for Compose")


def _must_be_set(uses: list[Use]) -> bool:
    return any(use.required or not (use.passed or use.key in MAY_BE_EMPTY) for use in uses)
