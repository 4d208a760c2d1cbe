"""Makes resolved.json of a release: once, in the stage `render`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from gpuhost.runner.contract import ENV_EXAMPLES
from gpuhost.runner.data import secrets, seed
from gpuhost.runner.data.env_file import text
from gpuhost.runner.docker import compose
from gpuhost.runner.docker.compose import project_directory
from gpuhost.runner.docker.resolved_model import Model
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import keep
from gpuhost.runner.resolved import tree
from gpuhost.runner.resolved.asking import Answer, ask_compose
from gpuhost.runner.resolved.change import Changed, change, change_old
from gpuhost.runner.resolved.host import facts
from gpuhost.runner.resolved.temporary_files import temporary_files
from gpuhost.runner.state.release import Release

# Builds also read DOCKERFILE.dockerignore.
IGNORE = ".dockerignore"


def resolve(release: Release) -> Changed:
    """Ask Compose, and change its answer for this host. Nothing of the app is changed.

    Raises Failure for everything that can be refused.
    """
    answer = _ask(release)
    if release.is_old:
        changed = change_old(answer.model, release.plan, facts(release, answer))
    else:
        _refuse_unset(release, answer.unset)
        _refuse_links_out(release.source, _contexts(release, answer.model))
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
        if os.path.lexists(release.source / path) and not _leads_out(release.source, path):
            yield path


def _contexts(release: Release, model: Model) -> Iterator[str]:
    """What builds read, as far as it is in the source."""
    found = [Path(context) / file for context, file in release.plan.build.bases.values()]
    for section in model["services"].values():
        build = section.get("build") or {}
        context = Path(build.get("context") or ".")
        dockerfile = context / (build.get("dockerfile") or "Dockerfile")
        found += [context, dockerfile, context / IGNORE]
        found.append(dockerfile.with_name(f"{dockerfile.name}{IGNORE}"))
        found += map(Path, (build.get("additional_contexts") or {}).values())
    inside = (release.source / path for path in found)
    yield from (
        str(p.relative_to(release.source)) for p in inside if p.is_relative_to(release.source)
    )


def _refuse_links_out(source: Path, paths: Iterable[str]) -> None:
    """Compose or a build would read files of the host, as root."""
    for path in paths:
        if _leads_out(source, path):
            raise Failure(
                f"{path} is a link that leads out of the source",
                fix="replace the link in the source by the file",
            )


def _leads_out(source: Path, path: str) -> bool:
    real = Path(os.path.realpath(source / path))
    return not real.is_relative_to(os.path.realpath(source))


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
        file = project_directory(release) / example
        if file.is_symlink() or not file.is_file():
            continue
        content = file.read_text(encoding="utf-8", errors="replace")
        known = [
            n for n in names if re.search(rf"^\s*(?:export\s+)?{n}\s*=", content, re.MULTILINE)
        ]
        if known:
            yield f"{example} has {', '.join(known)}"


def _write_environment(release: Release, answer: Answer) -> None:
    if answer.environment:
        keep(release.paths.run_env, text(answer.environment), mode=0o600)
