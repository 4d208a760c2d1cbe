"""build and one_shots: services that end, and images that no service builds."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from gpuhost.appfile.proposing.candidates import words_of
from gpuhost.appfile.proposing.databases import command_of, is_migration
from gpuhost.appfile.proposing.dockerfiles import Found
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed

ENDS = re.compile(
    r"^(?:/bin/)?(?:true|exit 0)$"
    r"|^(?:/bin/)?(?:ba)?sh -\w*c\s+(?:chown|chmod|mkdir|cp|true|exit)\b(?!.*sleep)"
    r"|^(?:chown|chmod|mkdir|cp)\s|\bmc\s+(?:alias|mb|config)\b"
)
SETUP = frozenset(
    ("init", "setup", "bootstrap", "provision", "createbuckets", "initializer", "seed")
)
# Files that may say how an image is built.
TELLS = re.compile(r"(?:^|/)(?:Makefile|README\.md|[^/]*\.sh)$")
MAX_TEXTS = 20
# Of no registry, and without a variable that is not known.
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]*")


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
            where = project.where("services", name)
            said = f"{name} ({where}) is named like a service that ends: if so, add it"
            yield Note("one_shots", said)
    if ends:
        lines = ", ".join(project.where("services", name) for name in ends)
        yield Proposal(("one_shots",), tuple(ends), f"{lines}: the command ends")


def _waited_for(project: Project) -> Iterator[str]:
    """Services that another one waits for until they have ended; that is known by itself."""
    for name in project.compose.services:
        waits = project.raw(name).get("depends_on")
        for other, how in waits.items() if isinstance(waits, Mapping) else ():
            condition = how.get("condition") if isinstance(how, Mapping) else None
            if condition == "service_completed_successfully":
                yield other


def _bases(project: Project) -> Iterator[Proposed]:
    """Images that a Dockerfile is FROM, that no service builds, and that have a Dockerfile."""
    built = {_name(service.image or "") for service in project.compose.services.values()}
    seen = set()
    for name, _ in project.services():
        dockerfile = project.dockerfile(name)
        for base in dockerfile.bases if dockerfile else ():
            image = _name(base.text)
            if not IMAGE.fullmatch(base.text) or image in built or image in seen:
                continue
            seen.add(image)
            yield from _base(project, base)


def _name(image: str) -> str:
    return image.partition("@")[0].partition(":")[0]


def _base(project: Project, base: Found) -> Iterator[Proposed]:
    """A base image with the Dockerfile that the project's words or the name say."""
    said = f"{base.where}: FROM {base.text}, which no service builds"
    if command := _build_command(project, _name(base.text)):
        text, where = command
        file = re.search(r"(?:-f|--file)[ =](\S+)", text)
        path = posixpath.normpath(file[1]) if file else "Dockerfile"
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(where), path))
        found = next((one for one in (path, beside) if one in project.tree.names), None)
        if found:
            value = {} if found == "Dockerfile" else {"dockerfile": found}
            yield Proposal(("build", "bases", base.text), value, f"{said}; {where} shows how")
            return
    named = words_of(base.text) - {"latest"}
    if "base" not in named:
        return
    files = [
        path
        for path in project.tree.names
        if {"base", "dockerfile"} <= words_of(posixpath.basename(path))
    ]
    files.sort(key=lambda path: (-len(named & words_of(path)), path.count("/"), path))
    for path in files[:1]:
        yield Proposal(("build", "bases", base.text), {"dockerfile": path}, said)
    if len(files) > 1:
        yield Note("build", f"{base.text} is one of {', '.join(files)}", todo=True)


def _build_command(project: Project, image: str) -> tuple[str, str] | None:
    """A line `docker build … -t IMAGE` of the project, and its file."""
    build = re.compile(
        rf"docker (?:buildx )?build\b[^\n]{{0,2000}}(?:-t|--tag)[ =]{re.escape(image)}"
        r"(?![\w/-])[^\n]*"
    )
    directories = {posixpath.dirname(path) for path in project.files} | {""}
    texts = [
        path
        for path in project.tree.names
        if path in project.files or (posixpath.dirname(path) in directories and TELLS.search(path))
    ]
    for path in texts[:MAX_TEXTS]:
        match = build.search((project.tree.text(path) or "").replace("\\\n", " "))
        if match:
            return match[0], path
    return None
