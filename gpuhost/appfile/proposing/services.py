"""build and one_shots: services that end, and images that no service builds."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from gpuhost.appfile.proposing.candidates import words_of
from gpuhost.appfile.proposing.databases import command_of, is_migration
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed

ENDS = re.compile(
    r"^(?:/bin/)?(?:true|exit 0)$|^(?:/bin/)?(?:ba)?sh -\w*c\s+(?:chown|chmod|mkdir|cp|true|exit)\b(?!.*sleep)"
    r"|^(?:chown|chmod|mkdir|cp)\s|\bmc\s+(?:alias|mb|config)\b"
)
SETUP = frozenset(("init", "setup", "bootstrap", "provision", "createbuckets", "initializer", "seed"))
BASE = re.compile(r"[a-z0-9_.-]*base[a-z0-9_.-]*(?::[A-Za-z0-9_.-]+)?")


def proposals(project: Project) -> Iterator[Proposed]:
    yield from _bases(project)
    waited = set(_waited_for(project))
    ends: list[str] = []
    for name, service in project.services():
        is_other = service.restart in ("always", "unless-stopped") or service.ports
        if is_other or name in waited or is_migration(project, name):
            continue
        if ENDS.search(command_of(project, name)):
            ends.append(name)
        elif SETUP & words_of(name):
            place = project.place("services", name)
            said = f"{name} ({place}) is named like a service that ends: if so, add it"
            yield Note("one_shots", said)
    if ends:
        places = ", ".join(project.place("services", name) for name in ends)
        yield Proposal(("one_shots",), tuple(ends), f"{places}: the command ends")


def _waited_for(project: Project) -> Iterator[str]:
    """Services that another one waits for until they have ended; that is known by itself."""
    for name in project.compose.services:
        waits = project.raw(name).get("depends_on")
        for other, how in waits.items() if isinstance(waits, Mapping) else ():
            condition = how.get("condition") if isinstance(how, Mapping) else None
            if condition == "service_completed_successfully":
                yield other


def _bases(project: Project) -> Iterator[Proposed]:
    """Images that a Dockerfile is FROM, that nothing builds, and that have a Dockerfile."""
    built = {(service.image or "").partition(":")[0] for service in project.compose.services.values()}
    seen = set()
    for name, _ in project.services():
        dockerfile = project.dockerfile(name)
        for base in dockerfile.bases if dockerfile else ():
            image = base.text.partition(":")[0]
            if image in built or image in seen or not BASE.fullmatch(base.text):
                continue
            seen.add(image)
            yield from _base(project, base.text, base.place)


def _base(project: Project, image: str, place: str) -> Iterator[Proposed]:
    files = [
        path
        for path in project.tree.names
        if "base" in words_of(posixpath.basename(path)) and "dockerfile" in words_of(path)
    ]
    named = words_of(image) - {"latest", "base"}
    files.sort(key=lambda path: (-len(named & words_of(path)), path.count("/"), path))
    if not files:
        return
    directory, name = posixpath.split(files[0])
    value = {"context": directory, "dockerfile": name} if directory else {"dockerfile": name}
    yield Proposal(("build", "bases", image), value, f"{place}: FROM {image}, which no service builds")
    if len(files) > 1:
        yield Note("build", f"{image} may be another one of {', '.join(files)}", todo=True)
