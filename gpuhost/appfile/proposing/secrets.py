"""secrets: variables and files of the project that are named like secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpuhost.appfile.proposing import secret_files
from gpuhost.appfile.proposing.literals import Literal, literals, written_elsewhere
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed, Value
from gpuhost.appfile.proposing.secret_names import (
    LOGIN_IN_URL,
    is_address,
    is_of_a_store,
    is_own,
    is_password,
    is_third_party,
    looks_real,
)
from gpuhost.appfile.proposing.secret_variables import (
    Variable,
    is_left_out,
    known_values,
    variables,
)
from gpuhost.appfile.proposing.stores import stores
from gpuhost.appfile.proposing.urls import composed

MAX_LINES = 2


def proposals(project: Project, *, dotenv_is_secret: bool) -> Iterator[Proposed]:
    """+ dotenv_is_secret: what .env sets needs no secret of its own"""
    own = {kind for _, kind in stores(project)}
    found: list[Proposed] = []
    if not dotenv_is_secret:
        for variable in variables(project):
            found += _of_variable(project, variable, bool(own))
    found += _of_literals(project, found, own)
    found += secret_files.proposals(project, own)
    defaults = {} if dotenv_is_secret else _defaults(project)
    yield from composed(project, found, defaults)
    if any(isinstance(one, Proposal) and "generate" in str(one.value) for one in found):
        yield Note(
            "secrets",
            "generate: hex makes 64 hex digits, once, on the host. Give a secret yourself if the "
            "project asks for another form, or if a database with its password exists already.",
        )


def _defaults(project: Project) -> dict[str, list[str]]:
    return {one.name: known_values(project, one) for one in variables(project)}


def _of_variable(project: Project, variable: Variable, own_stores: bool) -> Iterator[Proposed]:
    name, of_dotenv = variable.name, project.dotenv.get(variable.name)
    if isinstance(of_dotenv, str) and of_dotenv and looks_real(of_dotenv):
        # It is set; a real value of this machine is not touched.
        return
    reason, values = _origin(project, variable), known_values(project, variable)
    limited = _limited(project, variable.services)
    is_optional = not variable.is_needed or of_dotenv == "" or is_left_out(project, variable)
    is_unset = is_optional and not (any(variable.defaults) or of_dotenv)
    given: dict[str, Value] = {**limited, **_refused(values)}
    if is_own(name, ("store",) if own_stores else ()) or _is_shared(variable):
        clash = written_elsewhere(project, values) if is_password(name) else ""
        if not clash:
            value: dict[str, Value] = {"generate": "hex", **limited}
            # `NAME:` without a value is one that the project asks for.
            is_asked = variable.is_needed or any(use.passed for use in variable.uses)
            is_left = is_unset and not is_asked
            said = f"{reason}; optional" if is_left else reason
            yield Proposal(("secrets", name), value, said, suggested=is_left)
            return
        yield Note(
            "secrets",
            f"{name} ({reason}): its value is also written in {clash}, and must be the same there",
            todo=not is_optional,
        )
    elif is_unset:
        reason += "; optional"
    elif not any(values):
        reason += f'; if the app runs without it, `variables: {{{name}: ""}}` instead'
    elif is_optional:
        reason += "; the project's own default is public: give another"
    yield Proposal(("secrets", name), given, reason, suggested=is_optional)


def _origin(project: Project, variable: Variable) -> str:
    """The lines that it was read from."""
    lines = list(dict.fromkeys(use.where for use in variable.uses))
    reason = ", ".join(lines[:MAX_LINES])
    reason += f" and {len(lines) - MAX_LINES} more" if len(lines) > MAX_LINES else ""
    of_dotenv, example = project.dotenv.get(variable.name), project.examples.get(variable.name)
    if isinstance(of_dotenv, str):
        return f"{reason}; .env {'has a placeholder' if of_dotenv else 'leaves it empty'}"
    return f"{reason}; {example.where}" if example else reason


def _is_shared(variable: Variable) -> bool:
    """Services of the project that must agree, on a secret of nobody else."""
    name = variable.name
    if is_third_party(name) or is_of_a_store(name) or is_address(name):
        return False
    return len(variable.services) > 1 and name.upper().endswith(("SECRET", "PASSWORD"))


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


def _of_literals(project: Project, found: Sequence[Proposed], own: set[str]) -> Iterator[Proposed]:
    """Values that the project's files have themselves."""
    known = {one.path[1] for one in found if isinstance(one, Proposal)}
    kept = []
    for literal in literals(project):
        name, value = literal.name, literal.value
        if name in known:
            continue
        if LOGIN_IN_URL.search(value) or is_of_a_store(name) or literal.elsewhere:
            kept.append(f"{name} ({literal.where})")
        else:
            yield _of_literal(project, literal, own)
    if kept:
        yield Note(
            "secrets",
            f"the project's files have the values of {', '.join(kept)}. To use others, change "
            "every place that must agree to a variable, and add that variable here.",
        )


def _of_literal(project: Project, literal: Literal, own: set[str]) -> Proposal:
    limited, value = _limited(project, literal.services), literal.value
    path = ("secrets", literal.name)
    if value and is_own(literal.name, own):
        said = f"{literal.where} has a value, which is no secret any more"
        return Proposal(path, {"generate": "hex", **limited}, said)
    given = {**limited, **_refused((value,))}
    if not value or looks_real(value):
        said = "is empty" if not value else "has a value"
        return Proposal(path, given, f"{literal.where} {said}", suggested=True)
    return Proposal(path, given, f"{literal.where} has a placeholder")
