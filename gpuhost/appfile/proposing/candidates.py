"""Which Compose files of a project are meant, where there are several."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gpuhost.appfile.compose.default_files import NAMES, OVERRIDES, default_files
from gpuhost.appfile.compose.project_files import Kind
from gpuhost.appfile.document import BadYaml, read_all
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed
from gpuhost.appfile.proposing.tree import Tree

COMPOSE = re.compile(r"(?:docker-)?compose(?:[.\-_][^/]*)?\.ya?ml")
# What a file for developers has.
DEVELOPING = frozenset(("develop", "watch"))
GPU_WORDS = frozenset(("gpu", "cuda", "nvidia"))
PRODUCTION = frozenset(("prod", "production", "deploy", "deployment", "release"))
# A file of this name is not the one that runs on a server.
OTHERS = frozenset(
    (
        *("dev", "develop", "development", "devcontainer", "test", "tests", "testing", "ci", "e2e"),
        *("override", "local", "debug", "example", "examples", "sample", "samples", "docs"),
        *("cpu", "amd", "rocm", "intel", "mac", "apple", "arm64", "github", "integration"),
        *(
            "profiling",
            "monitoring",
            "metrics",
            "observability",
            "tools",
            "scripts",
            "windows",
            "win",
        ),
        *(
            "npu",
            "macos",
            "airgap",
            "benchmark",
            "benchmarks",
            "template",
            "templates",
            "fixtures",
            "vendor",
            "modules",
        ),
    )
)
# Directories that hold what is deployed.
PLACES = frozenset(("docker", "compose", "infra", "infrastructure", "server")) | PRODUCTION
DEEPEST = 3
MAX_SHOWN = 6


@dataclass(frozen=True)
class Chosen:
    """+ files: as for `-f`

    + named: why they must be in the app file; "": Compose finds them
    + others: the best first
    + equal: others that are as good
    """

    files: tuple[str, ...]
    named: str
    others: tuple[str, ...]
    equal: tuple[str, ...] = ()


def words_of(path: str) -> frozenset[str]:
    """ "docker/compose.gpu.yml": docker, compose, gpu, yml."""
    return frozenset(re.split(r"[^a-z0-9]+", path.lower()))


def choose(tree: Tree, environment: Mapping[str, object]) -> Chosen | None:
    """None: the project has no Compose file. environment: the variables of .env."""
    candidates = sorted(filter(_is_candidate, tree.names), key=_rank)
    if files := default_files(tree, environment):
        others = tuple(path for path in candidates if path not in files)
        if (
            len(files) == 2
            and files[1] in OVERRIDES
            and (sign := _sign_of_developing(tree, files[1]))
        ):
            return Chosen(
                files[:1], f"without {files[1]}, which is for development: {sign}", others
            )
        return Chosen(files, "", others)
    files_of_compose = (path for path in candidates if _is_compose_file(tree, path))
    best = next(files_of_compose, None)
    if best is None:
        return None
    others = tuple(path for path in candidates if path != best)
    equal = tuple(path for path in others if _rank(path)[:-1] == _rank(best)[:-1])
    said = "Compose finds no file at the root of the project"
    return Chosen((best, *_override(tree, best)), said, others, equal)


def _sign_of_developing(tree: Tree, path: str) -> str:
    """A service of an override that watches its sources, or mounts them."""
    for name, service in services_in(tree, path).items():
        written = service if isinstance(service, dict) else {}
        if DEVELOPING & written.keys():
            return f"{name} has develop"
        volumes = written.get("volumes")
        for entry in volumes if isinstance(volumes, list) else ():
            source = str(entry).partition(":")[0]
            if source.startswith(".") and tree.kind(posixpath.normpath(source)) is Kind.DIRECTORY:
                return f"{name} mounts {source}"
    return ""


def _override(tree: Tree, path: str) -> tuple[str, ...]:
    """The override file that Compose would read in that directory."""
    directory, name = posixpath.split(path)
    if name not in NAMES:
        return ()
    beside = (posixpath.join(directory, override) for override in OVERRIDES)
    return tuple(one for one in beside if one in tree.names)[:1]


def _is_candidate(path: str) -> bool:
    if path.startswith(".github/") or "/.github/" in path:
        return False
    return path.count("/") <= DEEPEST and COMPOSE.fullmatch(posixpath.basename(path)) is not None


def _rank(path: str) -> tuple[int, bool, int, int, str]:
    words, directory = words_of(path), posixpath.dirname(path)
    is_elsewhere = bool(directory) and not words_of(directory) & PLACES
    is_plain = posixpath.basename(path) in NAMES
    kind = 0 if is_plain else 1 if words & (GPU_WORDS | PRODUCTION) else 2
    return (len(words & OTHERS), is_elsewhere, path.count("/"), kind, path)


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
    if chosen.equal:
        shown = ", ".join(chosen.equal[:MAX_SHOWN])
        yield Note(
            "compose", f"the first of several by name; these fit as well: {shown}", todo=True
        )
    if chosen.named:
        value = chosen.files if len(chosen.files) > 1 else chosen.files[0]
        yield Proposal(("compose",), value, chosen.named)
    else:
        finds = "finds them by itself" if len(chosen.files) > 1 else "finds it by itself"
        yield Note("compose", f"{' and '.join(chosen.files)}: Compose {finds}")
    if not chosen.named and len(chosen.files) > 1:
        said = f"without {', '.join(chosen.files[1:])}"
        yield Proposal(("compose",), chosen.files[0], said, suggested=True)
    yield from _alternatives(tree, chosen)


def _alternatives(tree: Tree, chosen: Chosen) -> Iterator[Proposed]:
    production = [path for path in chosen.others if _is_for_production(path, chosen.files[0])]
    cards = [
        path for path in chosen.others if words_of(path) & GPU_WORDS and path not in production
    ]
    shown = [path for path in (*production, *cards) if not words_of(path) & OTHERS][:MAX_SHOWN]
    for path in shown:
        said = "for production, by its name" if path in production else "for a card, by its name"
        files: str | tuple[str, ...] = path
        if _is_overlay(tree, path):
            files = (chosen.files[0], path)
            said += "; it changes services of the other file"
        yield Proposal(("compose",), files, said, suggested=True)
    said_already = {*shown, *chosen.equal}
    if rest := [path for path in chosen.others if path not in said_already]:
        more = f" and {len(rest) - MAX_SHOWN} more" if len(rest) > MAX_SHOWN else ""
        yield Note("compose", f"not used: {', '.join(rest[:MAX_SHOWN])}{more}")


def _is_for_production(path: str, chosen: str) -> bool:
    """By its name, or as the file of a directory of that name."""
    directory, name = posixpath.split(path)
    is_of_directory = name in NAMES and bool(words_of(directory) & PRODUCTION)
    is_beside = directory == posixpath.dirname(chosen)
    return bool(words_of(name) & PRODUCTION) or (is_of_directory and not is_beside)


def _is_overlay(tree: Tree, path: str) -> bool:
    """Whether its services have neither image nor build: they are of another file."""
    services = services_in(tree, path).values()
    return bool(services) and not any(
        isinstance(service, dict) and service.keys() & {"image", "build", "extends"}
        for service in services
    )
