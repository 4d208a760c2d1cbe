"""secrets: variables and files of the project that are named like secrets."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.project_files import Kind
from gpuhost.appfile.proposing.literals import Literal, literals, written_elsewhere
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed, Value
from gpuhost.appfile.proposing.secret_names import (
    LOGIN_IN_URL,
    is_of_a_store,
    is_own,
    is_secret,
    is_third_party,
    looks_real,
)
from gpuhost.appfile.proposing.stores import stores
from gpuhost.appfile.proposing.urls import composed
from gpuhost.appfile.proposing.used import Use

MAX_PLACES = 2


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
        if is_secret(name, _known_value(project, name, uses))
    ]


def _known_value(project: Project, name: str, uses: Sequence[Use]) -> str:
    example = project.examples.get(name)
    return " ".join(
        (
            (example.value or example.composed) if example else "",
            *(use.default or "" for use in uses),
        )
    )


def _services(project: Project, uses: Sequence[Use]) -> Iterator[str]:
    used = {name for use in uses for name in use.services}
    yield from (name for name in project.compose.services if name in used)


def proposals(project: Project, *, dotenv_is_secret: bool) -> Iterator[Proposed]:
    """+ dotenv_is_secret: what .env sets needs no secret of its own"""
    own = {kind for _, kind in stores(project)}
    found: list[Proposed] = []
    if not dotenv_is_secret:
        for variable in variables(project):
            found += _of_variable(project, variable, bool(own))
    known = {one.path[1] for one in found if isinstance(one, Proposal)}
    found += (
        one for literal in literals(project) if literal.name not in known
        for one in _of_literal(project, literal, own)
    )
    found += _of_files(project, own)
    yield from composed(project, found)
    if any(isinstance(one, Proposal) and "generate" in str(one.value) for one in found):
        yield Note(
            "secrets",
            "generate: hex makes 64 hex digits, once, on the host. Give a secret yourself if the "
            "project asks for another form, or if a database with its password exists already.",
        )


def _of_variable(project: Project, variable: Variable, own_stores: bool) -> Iterator[Proposed]:
    name = variable.name
    places = list(dict.fromkeys(use.place for use in variable.uses))
    reason = ", ".join(places[:MAX_PLACES])
    reason += f" and {len(places) - MAX_PLACES} more" if len(places) > MAX_PLACES else ""
    example = project.examples.get(name)
    of_dotenv = project.dotenv.get(name)
    values = [*variable.defaults, *([example.value] if example else [])]
    if isinstance(of_dotenv, str):
        if of_dotenv and looks_real(of_dotenv):
            # It is set; and a real value of this machine is not touched.
            return
        reason += "; .env has a placeholder" if of_dotenv else "; .env leaves it empty"
        values.append(of_dotenv)
    elif example:
        reason += f"; {example.place}"
    refuse = _refused(values)
    value: dict[str, Value] = {}
    if is_own(name, ("store",) if own_stores else ()) or _is_shared(variable):
        value = {"generate": "hex", **_limited(project, variable.services)}
        if clash := written_elsewhere(project, name, values):
            yield Note(
                "secrets",
                f"{name} ({reason}): its example value is also written in {clash}; give both, "
                "or change the project to use the variable there",
                todo=True,
            )
            value = {**_limited(project, variable.services), **refuse}
        yield Proposal(("secrets", name), value, reason)
        return
    value = {**_limited(project, variable.services), **refuse}
    is_optional = not variable.is_needed or of_dotenv == ""
    has_default = bool(variable.defaults or of_dotenv)
    if is_optional and has_default:
        reason += "; the project's own default is public: give another"
    elif is_optional:
        reason += "; optional"
    yield Proposal(("secrets", name), value, reason, suggested=is_optional)


def _is_shared(variable: Variable) -> bool:
    """Services of the project that must agree, on a secret of nobody else."""
    if is_third_party(variable.name) or is_of_a_store(variable.name):
        return False
    return len(variable.services) > 1 and variable.name.upper().endswith(("SECRET", "PASSWORD"))


def _limited(project: Project, services: Sequence[str]) -> dict[str, Value]:
    """The services that get it, if not all do."""
    if not services or set(services) >= set(project.compose.services):
        return {}
    return {"services": tuple(services)}


def _refused(values: Sequence[str]) -> dict[str, Value]:
    shown = dict.fromkeys(
        value for value in values if value and "$" not in value and not looks_real(value)
    )
    return {"refuse": tuple(shown)} if shown else {}


def _of_literal(project: Project, literal: Literal, own: set[str]) -> Iterator[Proposed]:
    """A value that the Compose file itself has."""
    name, value = literal.name, literal.value
    if LOGIN_IN_URL.search(value) or is_of_a_store(name) or literal.elsewhere:
        yield Note(
            "secrets",
            f"{name} ({literal.place}): the Compose file has its value. To use another one, change "
            "every place that must agree with it to a variable, and add that variable here.",
        )
        return
    given = {**_limited(project, literal.services), **_refused((value,))}
    if is_own(name, own):
        of_own: dict[str, Value] = {"generate": "hex", **_limited(project, literal.services)}
        yield Proposal(
            ("secrets", name), of_own, f"{literal.place} has a value, which is no secret any more"
        )
    elif not value or looks_real(value):
        said = "is empty" if not value else "has a value"
        yield Proposal(("secrets", name), given, f"{literal.place} {said}", suggested=True)
    else:
        yield Proposal(("secrets", name), given, f"{literal.place} has a placeholder")


def _of_files(project: Project, own: set[str]) -> Iterator[Proposed]:
    """`secrets: {NAME: {file: …}}` that the source lacks."""
    for name, secret in project.compose.secrets.items():
        path = posixpath.normpath(secret.file or ".")
        is_lacking = secret.file and is_of_source(secret.file)
        if not is_lacking or project.tree.kind(path) is not Kind.ABSENT:
            continue
        said = f"{project.place('secrets', name)}: {path} is not in the source"
        inside = project.in_directory(path)
        if inside is None:
            text = f"{said}, and is above the directory of the Compose file: move it below"
            yield Note("secrets", text, todo=True)
            continue
        variable = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
        variable = f"SECRET_{variable}" if not re.match(r"[A-Z]", variable) else variable
        value: dict[str, Value] = {"path": inside}
        if is_own(variable, own):
            value = {"generate": "hex", **value}
        yield Proposal(("secrets", variable), value, said)
