"""Secrets that are made of other secrets: URLs with their password, and equal defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gpuhost.appfile.compose.interpolation import fill_in
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Proposal, Proposed, Value
from gpuhost.appfile.proposing.secret_names import is_of_a_client, is_vague

LOGIN = re.compile(
    r"([a-z][a-z0-9+.-]*://[^/\s:@$]*:)([^/\s@$]+)@([^/\s:?$]+)([^\s$]*)", re.IGNORECASE
)
VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
Defaults = Mapping[str, Sequence[str]]


def composed(
    project: Project, proposed: Sequence[Proposed], defaults: Defaults
) -> Iterator[Proposed]:
    """The proposals; one that must agree with a generated secret is made of it.

    + defaults: values that the project has for them
    """
    generated = {
        one.path[1]: one
        for one in proposed
        if isinstance(one, Proposal) and "generate" in _mapping(one) and not one.suggested
    }
    for one in proposed:
        is_candidate = isinstance(one, Proposal) and not {"generate", "path"} & _mapping(one).keys()
        if not isinstance(one, Proposal) or not is_candidate:
            yield one
            continue
        name = one.path[1]
        value = _url(project, name, generated, defaults) or _equal(name, generated, defaults)
        if value is None:
            example = project.examples.get(name)
            is_open = example is not None and bool(example.composed)
            more = ", which makes it of other variables: write it out" if is_open else ""
            yield replace(one, reason=one.reason + more)
            continue
        kept = {key: item for key, item in _mapping(one).items() if key == "services"}
        origin = one.reason.partition("; the project")[0]
        made = f"{origin}; made of the other secret, so that both agree"
        yield replace(one, value={"value": value, **kept}, reason=made, suggested=False)


def _mapping(one: Proposal) -> Mapping[str, Value]:
    return one.value if isinstance(one.value, Mapping) else {}


def _equal(name: str, generated: Mapping[str, Proposal], defaults: Defaults) -> str | None:
    """The secret whose default is the same: the project's own client and server."""
    if not is_of_a_client(name):
        return None
    own = {value for value in defaults.get(name, ()) if not is_vague(value)}
    equal = (other for other in generated if own.intersection(defaults.get(other, ())))
    found = next(equal, None)
    return f"${{{found}}}" if found else None


def _url(
    project: Project, name: str, generated: Mapping[str, Proposal], defaults: Defaults
) -> str | None:
    """A URL of a service of the project, with a secret in place of its password."""
    example = project.examples.get(name)
    if example and example.composed:
        return _filled(project, example.composed, name, generated)
    for value in defaults.get(name, ()):
        match = LOGIN.fullmatch(value)
        if match is None or match[3] not in project.compose.services:
            continue
        start, password, host, rest = match.groups()
        for other, secret in generated.items():
            services = _mapping(secret).get("services")
            is_of_host = isinstance(services, Sequence) and host in services
            if is_of_host or password in defaults.get(other, ()):
                return f"{start}${{{other}}}@{host}{rest}"
    return None


def _filled(
    project: Project, text: str, name: str, generated: Mapping[str, Proposal]
) -> str | None:
    """Secrets stay variables, the others are filled in; None if one is not known."""
    used = set(VARIABLE.findall(text))
    if not used.intersection(generated) or name in used:
        return None
    values = {other: f"${{{other}}}" for other in used & generated.keys()}
    for other in used - generated.keys():
        example = project.examples.get(other)
        if example is None or not example.value:
            return None
        values[other] = example.value
    return fill_in(text, values.get).text
