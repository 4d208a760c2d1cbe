"""Which Compose files of a project are meant, where there are several."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gpuhost.appfile.compose.default_files import NAMES, OVERRIDES, default_files
from gpuhost.appfile.document import BadYaml, read_all
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed
from gpuhost.appfile.proposing.tree import Tree

COMPOSE = re.compile(r"(?:[a-z0-9-]+[.-])?(?:docker-)?compose(?:[.\-_][^/]*)?\.ya?ml")
GPU_WORDS = frozenset(("gpu", "cuda", "nvidia"))
PRODUCTION = frozenset(("prod", "production", "deploy", "deployment", "release"))
# A file of this name is not the one that runs on a server.
OTHERS = frozenset(
    (
        *("dev", "develop", "development", "devcontainer", "test", "tests", "testing", "ci", "e2e"),
        *("override", "local", "debug", "example", "examples", "sample", "samples", "docs"),
        *("cpu", "amd", "rocm", "intel", "mac", "apple", "arm64", "github", "integration"),
        *("benchmark", "benchmarks", "template", "templates", "fixtures", "vendor", "modules"),
    )
)
DEEPEST = 3
MAX_SHOWN = 6


@dataclass(frozen=True)
class Chosen:
    """files: as for `-f`; named: they must be in the app file."""

    files: tuple[str, ...]
    named: bool
    others: tuple[str, ...]


def words_of(path: str) -> frozenset[str]:
    """ "docker/compose.gpu.yml": docker, compose, gpu, yml."""
    return frozenset(re.split(r"[^a-z0-9]+", path.lower()))


def choose(tree: Tree, environment: Mapping[str, object]) -> Chosen | None:
    """None: the project has no Compose file. environment: the variables of .env."""
    candidates = sorted(filter(_is_candidate, tree.names), key=_rank)
    if files := default_files(tree, environment):
        others = tuple(path for path in candidates if path not in files)
        return Chosen(files, named=False, others=others)
    best = next((path for path in candidates if _is_compose_file(tree, path)), None)
    if best is None:
        return None
    others = tuple(path for path in candidates if path != best)
    return Chosen((best, *_override(tree, best)), named=True, others=others)


def _override(tree: Tree, path: str) -> tuple[str, ...]:
    """The override file that Compose would read in that directory."""
    directory, name = posixpath.split(path)
    if name not in NAMES:
        return ()
    beside = (posixpath.join(directory, override) for override in OVERRIDES)
    return tuple(one for one in beside if one in tree.names)[:1]


def _is_candidate(path: str) -> bool:
    return path.count("/") <= DEEPEST and COMPOSE.fullmatch(posixpath.basename(path)) is not None


def _rank(path: str) -> tuple[int, int, int, str]:
    words = words_of(path)
    is_plain = posixpath.basename(path) in NAMES
    kind = 0 if is_plain else 1 if words & (GPU_WORDS | PRODUCTION) else 2
    return (len(words & OTHERS), path.count("/"), kind, path)


def services_in(tree: Tree, path: str) -> dict[str, object]:
    """The services of one file alone; none if it is not a Compose file."""
    try:
        documents = read_all(tree.text(path) or "")
    except BadYaml:
        return {}
    value = documents[0].value if documents else None
    services = value.get("services") if isinstance(value, dict) else None
    return services if isinstance(services, dict) else {}


def _is_compose_file(tree: Tree, path: str) -> bool:
    try:
        documents = read_all(tree.text(path) or "")
    except BadYaml:
        # What is wrong with it is said later.
        return True
    value = documents[0].value if documents else None
    return isinstance(value, dict) and ("services" in value or "include" in value)


def proposals(tree: Tree, chosen: Chosen) -> Iterator[Proposed]:
    if chosen.named:
        value = chosen.files if len(chosen.files) > 1 else chosen.files[0]
        yield Proposal(("compose",), value, "Compose finds no file at the root of the project")
    else:
        yield Note("compose", f"{' and '.join(chosen.files)}: Compose finds it by itself")
        if len(chosen.files) > 1:
            yield Proposal(
                ("compose",), chosen.files[0], f"without {chosen.files[1]}", suggested=True
            )
    yield from _alternatives(tree, chosen)


def _alternatives(tree: Tree, chosen: Chosen) -> Iterator[Proposed]:
    production = [path for path in chosen.others if words_of(path) & PRODUCTION]
    cards = [path for path in chosen.others if words_of(path) & GPU_WORDS and path not in production]
    shown = [path for path in (*production, *cards) if not words_of(path) & OTHERS][:MAX_SHOWN]
    for path in shown:
        said = "for production, by its name" if path in production else "for a card, by its name"
        files: str | tuple[str, ...] = path
        if _is_overlay(tree, path):
            files = (chosen.files[0], path)
            said += "; it changes services of the other file"
        yield Proposal(("compose",), files, said, suggested=True)
    if rest := [path for path in chosen.others if path not in shown]:
        more = f" and {len(rest) - MAX_SHOWN} more" if len(rest) > MAX_SHOWN else ""
        yield Note("compose", f"not used: {', '.join(rest[:MAX_SHOWN])}{more}")


def _is_overlay(tree: Tree, path: str) -> bool:
    """Whether its services have neither image nor build: they are of another file."""
    services = services_in(tree, path).values()
    return bool(services) and not any(
        isinstance(service, dict) and service.keys() & {"image", "build", "extends"}
        for service in services
    )
