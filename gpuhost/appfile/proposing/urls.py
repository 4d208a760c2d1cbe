"""URLs with a login, made of the secret that is their password."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gpuhost.appfile.compose.interpolation import fill_in
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Proposal, Proposed, Value

LOGIN = re.compile(r"([a-z][a-z0-9+.-]*://[^/\s:@]*:)([^/\s@]+)@([^/\s:?]+)(.*)", re.IGNORECASE)
VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


def composed(project: Project, proposed: Sequence[Proposed]) -> Iterator[Proposed]:
    """The proposals; a URL whose password is another secret of them gets a `value`."""
    passwords = {
        one.path[1]: one
        for one in proposed
        if isinstance(one, Proposal) and not one.suggested and "path" not in _mapping(one)
    }
    for one in proposed:
        if not isinstance(one, Proposal) or "generate" in _mapping(one):
            yield one
            continue
        value = _value(project, one.path[1], passwords)
        if value is None:
            yield from _open(project, one)
            continue
        kept = {key: item for key, item in _mapping(one).items() if key == "services"}
        made = f"{one.reason}; made of the other secret"
        yield replace(one, value={"value": value, **kept}, reason=made, suggested=False)


def _mapping(one: Proposal) -> Mapping[str, Value]:
    return one.value if isinstance(one.value, Mapping) else {}


def _open(project: Project, one: Proposal) -> Iterator[Proposed]:
    example = project.examples.get(one.path[1])
    if example and example.composed:
        reason = f"{one.reason} makes it of other variables: write it out"
        yield replace(one, reason=reason)
    else:
        yield one


def _value(project: Project, name: str, secrets: Mapping[str, Proposal]) -> str | None:
    example = project.examples.get(name)
    if example is None:
        return None
    if example.composed:
        return _filled(project, example.composed, name, secrets)
    match = LOGIN.fullmatch(example.value)
    if match is None or match[3] not in project.compose.services:
        return None
    start, password, host, rest = match.groups()
    for other, secret in secrets.items():
        of_example = project.examples.get(other)
        services = _mapping(secret).get("services")
        is_of_host = isinstance(services, Sequence) and host in services
        if other != name and "value" not in _mapping(secret) and (
            (of_example and of_example.value == password) or
            ("generate" in _mapping(secret) and is_of_host)
        ):
            return f"{start}${{{other}}}@{host}{rest}"
    return None


def _filled(
    project: Project, text: str, name: str, secrets: Mapping[str, Proposal]
) -> str | None:
    """Secrets stay variables, the others are filled in; None if one is not known."""
    used = set(VARIABLE.findall(text)) - {name}
    if not used.intersection(secrets) or name in VARIABLE.findall(text):
        return None
    for other in used - set(secrets):
        example = project.examples.get(other)
        if example is None or not example.value:
            return None

    def known(variable: str) -> str | None:
        if variable in secrets:
            return f"${{{variable}}}"
        return project.examples[variable].value if variable in project.examples else None

    return fill_in(text, known).text


