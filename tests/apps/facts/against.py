"""Compares a release with the facts of its app: every contradiction, in words.

What is compared is what would run: the model that Compose resolved and the runner changed, the
patched source, and the steps of `verify`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from tests.apps.facts.data import data, files
from tests.apps.facts.probes import probes
from tests.apps.facts.released import Released
from tests.apps.facts.table import Facts
from tests.apps.facts.verified import disk, proof, routes, site


def contradictions(release: Released, facts: Facts) -> list[str]:
    return list(chain.from_iterable(part(release, facts) for part in PARTS))


def revision(release: Released, facts: Facts) -> Iterator[str]:
    why = [why for one, why in facts.unusable.items() if release.ref.startswith(one)]
    if why:
        yield f"{release.ref[:7]} cannot be released: {why[0]}"
    elif release.ref != facts.revision:
        yield f"the facts are of {facts.revision[:7]}, not of {release.ref[:7]}"


def source(release: Released, facts: Facts) -> Iterator[str]:
    for path, who in facts.lacks.items():
        if not (release.source / path).is_file():
            yield f"git lacks {path}, which {who} needs"
    for fault in facts.faults:
        if fault.is_in((release.source / fault.file).read_text(encoding="utf-8")):
            yield f"{fault.at}: {fault.effect}"


def services(release: Released, facts: Facts) -> Iterator[str]:
    for name, section in release.services.items():
        program = facts.of(name)
        if program is None:
            yield f"{name}: no facts of this service"
            continue
        command = " ".join(section.get("command") or ())
        for words in program.commands:
            if words not in command:
                yield f"{name}: its command lacks {words!r}"
        for words, where in program.avoids.items():
            if words in command:
                yield f"{name}: its command has {words!r} ({where})"
        targets = {volume["target"] for volume in section.get("volumes") or ()}
        for path in program.mounts:
            if path not in targets:
                yield f"{name}: nothing is mounted at {path}"
        if not re.search(pattern := facts.images.get(name, ""), section.get("image") or ""):
            yield f"{name}: the image {section.get('image')} does not match {pattern}"


def environment(release: Released, facts: Facts) -> Iterator[str]:
    """What the app file gives is read; what is needed is there, whoever gives it."""
    for name in release.services:
        program, values = facts.of(name), release.environment(name)
        if program is None:
            continue
        for variable in release.given(name) - program.reads.keys():
            yield f"{name}: nothing reads {variable}"
        for variable, pattern in program.needs.items():
            if variable not in values:
                yield f"{name}: it needs {variable}, which is not set"
            elif not re.search(pattern, values[variable]):
                yield f"{name}: {variable} does not match {pattern}"


def equal(release: Released, facts: Facts) -> Iterator[str]:
    for first, second in facts.same:
        if _value(release, first) != _value(release, second):
            yield f"{first} and {second} are not the same"


def _value(release: Released, name: str) -> str | None:
    service, _, variable = name.partition(".")
    return release.environment(service).get(variable)


PARTS = (
    *(revision, source, services, environment, equal),
    *(data, files, probes, routes, proof, site, disk),
)
