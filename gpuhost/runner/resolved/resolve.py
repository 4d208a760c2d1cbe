"""Makes resolved.json of a release: once, in the stage `render`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gpuhost.runner.contract import ENV_EXAMPLES
from gpuhost.runner.data import secrets, seed
from gpuhost.runner.data.env_file import text
from gpuhost.runner.docker import compose
from gpuhost.runner.docker.compose import project_directory
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import keep
from gpuhost.runner.lib.source_paths import leads_out, read_text
from gpuhost.runner.resolved import tree
from gpuhost.runner.resolved.asking import Answer, ask_compose
from gpuhost.runner.resolved.build_paths import refuse_build_paths, refuse_links_out
from gpuhost.runner.resolved.change import Changed, change, change_old
from gpuhost.runner.resolved.host import facts
from gpuhost.runner.resolved.temporary_files import temporary_files
from gpuhost.runner.state.release import Release


def resolve(release: Release) -> Changed:
    """Ask Compose, and change its answer for this host. Nothing of the app is changed.

    Raises Failure for everything that can be refused.
    """
    answer = _ask(release)
    if release.is_old:
        changed = change_old(answer.model, release.plan, facts(release, answer))
    else:
        _refuse_unset(release, answer.unset)
        refuse_build_paths(release, answer.model)
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
    refuse_links_out(release.source, read)
    with temporary_files(release, of_files, data):
        return ask_compose(release)


def _copies(release: Release) -> Iterator[str]:
    """Copies that this release has begun, or that an earlier one could not end."""
    yield from release.record.copied
    for path in seed.unfinished(release.app):
        if os.path.lexists(release.source / path) and not leads_out(release.source, path):
            yield path


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
