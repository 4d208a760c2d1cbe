"""Which paths of the host a build may read, or write as its cache: root's client opens them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpuhost.runner.contract import why_reserved, why_secret
from gpuhost.runner.docker.resolved_model import Model
from gpuhost.runner.lib.engine_data import engine_data
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.source_paths import leads_out, resolved
from gpuhost.runner.state.release import Release

# Builds also read DOCKERFILE.dockerignore.
IGNORE = ".dockerignore"
# BuildKit reads a lower-case name too.
DOCKERFILE = "Dockerfile"
# A context with a scheme is no path, but for this one.
OCI_LAYOUT = "oci-layout://"
# Caches that are no directory of the host.
# https://docs.docker.com/build/cache/backends/
ELSEWHERE = frozenset(("azblob", "gha", "inline", "registry", "s3"))


@dataclass(frozen=True)
class _Use:
    """+ path: as it is given"""

    path: str
    writes: bool = False


def refuse_build_paths(release: Release, model: Model) -> None:
    """Raises Failure if a build would follow a link out of the source, or names what is not the
    app's.
    """
    refuse_links_out(release.source, _in_source(release, model))
    files = model.get("secrets") or {}
    for name, section in model["services"].items():
        for use in _uses(name, section.get("build") or {}, files):
            does = "writes" if use.writes else "reads"
            _require_allowed(release, f"{name}: build {does} {use.path}", use)


def refuse_links_out(source: Path, paths: Iterable[str]) -> None:
    """Compose or a build would read files of the host, as root. Raises Failure."""
    for path in paths:
        if leads_out(source, path):
            raise Failure(
                f"{path} is a link that leads out of the source",
                fix="replace the link in the source by the file",
            )


def _require_allowed(release: Release, what: str, use: _Use) -> None:
    # A relative path begins at the client's directory.
    path = Path(os.path.normpath("/" + use.path.lstrip("/")))
    _refuse(release, what, use, path, release.source)
    # In /proc, root itself may not follow it.
    _refuse(release, what, use, resolved(path), resolved(release.source))


def _refuse(release: Release, what: str, use: _Use, path: Path, source: Path) -> None:
    why_not = why_reserved if use.writes else why_secret
    shared, engine = str(release.app.shared), str(engine_data())
    if not path.is_relative_to(source) and (reason := why_not(str(path), shared, (engine,))):
        raise Failure(f"{what}: {reason}", fix="name a path of the source, or another one")


def _uses(name: str, build: Mapping[str, Any], files: Mapping[str, Any]) -> Iterator[_Use]:
    """Without what is no path of this host: an address, another image."""
    for path in map(str, _read_by(build)):
        if path.startswith("/"):
            yield _Use(path)
    for other in (build.get("additional_contexts") or {}).values():
        if str(other).startswith(OCI_LAYOUT):
            yield _Use(str(other).removeprefix(OCI_LAYOUT))
    for key in _entries(build.get("ssh")):
        yield from (_Use(path) for path in key.partition("=")[2].split(",") if path)
    for one in _entries(build.get("secrets")):
        if file := (files.get(one) or {}).get("file"):
            yield _Use(str(file))
    for key, option, writes in (("cache_from", "src", False), ("cache_to", "dest", True)):
        for entry in _entries(build.get(key)):
            if directory := _directory_of_cache(f"{name}: build.{key}: {entry}", entry, option):
                yield _Use(directory, writes)


def _entries(value: Any) -> Iterator[str]:
    """Of a list of texts, of mappings with a source, or of a mapping."""
    if isinstance(value, Mapping):
        yield from (f"{key}={one or ''}" for key, one in value.items())
        return
    for one in value or ():
        yield str(one.get("source", "")) if isinstance(one, Mapping) else str(one)


def _directory_of_cache(where: str, entry: str, option: str) -> str:
    """The directory of a cache on this host; "": it has none. Raises Failure."""
    if "=" not in entry:
        return ""
    # BuildKit reads it as CSV, with keys in any case.
    fields = (field.partition("=") for field in entry.split(","))
    options = {key.strip().lower(): value.strip() for key, _, value in fields}
    kind = options.get("type", "")
    if '"' in entry or kind not in (*ELSEWHERE, "local"):
        said = "gpuhost does not know this kind of cache"
        raise Failure(
            f"{where}: {said}", fix="write type=registry,ref=… or type=local,src=…, without quotes"
        )
    return options.get(option, "") if kind == "local" else ""


def _in_source(release: Release, model: Model) -> Iterator[str]:
    """What builds read, as far as it is in the source."""
    found = [path for base in release.plan.build.bases.values() for path in _read_by_build(*base)]
    for section in model["services"].values():
        found += _read_by(section.get("build") or {})
    inside = (release.source / path for path in found)
    yield from (
        str(p.relative_to(release.source)) for p in inside if p.is_relative_to(release.source)
    )


def _read_by(build: Mapping[str, Any]) -> Iterator[Path]:
    yield from _read_by_build(build.get("context") or ".", build.get("dockerfile") or DOCKERFILE)
    yield from map(Path, (build.get("additional_contexts") or {}).values())


def _read_by_build(context: str, file: str) -> Iterator[Path]:
    dockerfile = Path(context) / file
    yield from (Path(context), Path(context) / IGNORE)
    for name in dict.fromkeys((dockerfile.name, dockerfile.name.lower())):
        if name:
            yield from (dockerfile.with_name(name), dockerfile.with_name(f"{name}{IGNORE}"))
