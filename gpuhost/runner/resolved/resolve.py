"""Makes resolved.json of a release: once, in the stage `render`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpuhost.runner.contract import ENV_EXAMPLES, why_secret
from gpuhost.runner.data import secrets, seed
from gpuhost.runner.data.env_file import text
from gpuhost.runner.docker import compose
from gpuhost.runner.docker.compose import project_directory
from gpuhost.runner.docker.resolved_model import Model
from gpuhost.runner.lib.engine_data import engine_data
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import keep
from gpuhost.runner.lib.source_paths import leads_out, read_text, resolved
from gpuhost.runner.resolved import tree
from gpuhost.runner.resolved.asking import Answer, ask_compose
from gpuhost.runner.resolved.change import Changed, change, change_old
from gpuhost.runner.resolved.host import facts
from gpuhost.runner.resolved.temporary_files import temporary_files
from gpuhost.runner.state.release import Release

# Builds also read DOCKERFILE.dockerignore.
IGNORE = ".dockerignore"
# BuildKit reads a lower-case name too.
DOCKERFILE = "Dockerfile"
# Keys of a build whose options can name paths of the host: `type=local,src=/cache`.
WITH_OPTIONS = ("ssh", "cache_from", "cache_to")


def resolve(release: Release) -> Changed:
    """Ask Compose, and change its answer for this host. Nothing of the app is changed.

    Raises Failure for everything that can be refused.
    """
    answer = _ask(release)
    if release.is_old:
        changed = change_old(answer.model, release.plan, facts(release, answer))
    else:
        _refuse_unset(release, answer.unset)
        refuse_contexts_out(release, answer.model)
        found = replace(facts(release, answer), copied=tuple(_copies(release)))
        changed = change(answer.model, release.plan, found)
    _write_environment(release, answer)
    return changed


def store(release: Release, changed: Changed) -> None:
    """Write resolved.json, and keep the project's files that containers mount."""
    for path, digest in changed.files.items():
        if tree.keep(release.source, path, digest, release.app.files):
            release.log.write(
                f"{path}: its copy {release.app.files / digest} had been changed by hand; replaced "
                "by the source's, which a container reads when it starts again"
            )
    compose.store(release, changed.model)


def _ask(release: Release) -> Answer:
    if release.is_old:
        return ask_compose(release)
    release.source.mkdir(exist_ok=True)
    directory = project_directory(release)
    if not directory.is_dir():
        raise Failure(
            f"the source has no directory {Path(release.plan.compose[0]).parent}",
            fix="correct x-gpuhost.compose",
        )
    if release.plan.variables:
        keep(release.paths.variables, text(release.plan.variables), mode=0o600)
    values = secrets.values(release)
    of_files = {s.path: values[s.name] for s in release.plan.secrets if s.path}
    own = str((directory / ".env").relative_to(release.source))
    root = (".env",) if release.plan.root_dotenv else ()
    data = tuple(dict.fromkeys((*release.plan.env_files, own, *root)))
    read = [path for path in (*release.plan.compose, *data) if path not in of_files]
    _refuse_links_out(release.source, read)
    with temporary_files(release, of_files, data):
        return ask_compose(release)


def _copies(release: Release) -> Iterator[str]:
    """Copies that this release has begun, or that an earlier one could not end."""
    yield from release.record.copied
    for path in seed.unfinished(release.app):
        if os.path.lexists(release.source / path) and not leads_out(release.source, path):
            yield path


def refuse_contexts_out(release: Release, model: Model) -> None:
    """Raises Failure if a build would follow a link out of the source, or names what is not the
    app's.
    """
    _refuse_links_out(release.source, _contexts(release, model))
    for name, section in model["services"].items():
        for path in _absolute(section.get("build") or {}):
            real = str(resolved(Path(path)))
            if not Path(real).is_relative_to(resolved(release.source)):
                _refuse_secret(f"{name}: build", path, real, str(release.app.shared))


def _refuse_secret(where: str, path: str, real: str, shared: str) -> None:
    for one in (path, real):
        if reason := why_secret(one, shared, (str(engine_data()),)):
            raise Failure(
                f"{where} reads {path}: {reason}", fix="name a path of the source, or another one"
            )


def _absolute(build: Mapping[str, Any]) -> Iterator[str]:
    """Paths of the host that a build reads or writes."""
    yield from (path for path in map(str, _read_by(build)) if path.startswith("/"))
    for key in WITH_OPTIONS:
        value = build.get(key) or ()
        values = value.values() if isinstance(value, dict) else value
        for one in (value,) if isinstance(value, str) else values:
            pieces = (piece.strip("\"' ") for piece in re.split("[=,]", str(one)))
            yield from (piece for piece in pieces if piece.startswith("/"))


def _contexts(release: Release, model: Model) -> Iterator[str]:
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


def _refuse_links_out(source: Path, paths: Iterable[str]) -> None:
    """Compose or a build would read files of the host, as root."""
    for path in paths:
        if leads_out(source, path):
            raise Failure(
                f"{path} is a link that leads out of the source",
                fix="replace the link in the source by the file",
            )


def _refuse_unset(release: Release, unset: tuple[str, ...]) -> None:
    missing = [name for name in unset if name not in release.plan.optional]
    if not missing:
        return
    hints = "; ".join(_hints(release, missing))
    raise Failure(
        f"variables without a value and without a default: {', '.join(missing)}"
        f"{f' ({hints})' if hints else ''}",
        fix="give each a value: x-gpuhost.variables, or a secret of that name (x-gpuhost.secrets)",
    )


def _hints(release: Release, names: list[str]) -> Iterator[str]:
    for example in ENV_EXAMPLES:
        with suppress(Failure):
            text = read_text(release.source, project_directory(release) / example) or ""
            declared = {_declared(line) for line in text.splitlines()}
            if known := [name for name in names if name in declared]:
                yield f"{example} has {', '.join(known)}"


def _declared(line: str) -> str:
    """The name in NAME=value."""
    name, sign, _ = line.partition("=")
    return name.strip().removeprefix("export ").strip() if sign else ""


def _write_environment(release: Release, answer: Answer) -> None:
    if answer.environment:
        keep(release.paths.run_env, text(answer.environment), mode=0o600)
