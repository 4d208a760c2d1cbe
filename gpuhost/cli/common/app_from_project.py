"""`gpuhost init --app NAME --from PROJECT`: an app file for a project that somebody has."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import click

from gpuhost.cli.common.apps import require_name
from gpuhost.cli.common.streams import say

OWN = Path("apps")
GIT_SECONDS = 10


def write_app(name: str, project: str) -> None:
    """Write apps/NAME.yaml, or nothing. Raises click.ClickException."""
    from gpuhost.appfile.errors import BadApp
    from gpuhost.appfile.proposing.propose import propose
    from gpuhost.release.project_tree import open_project
    from gpuhost.release.source import BadSource

    require_name(name)
    if not project:
        # An unset variable of the shell.
        raise click.ClickException("--from is empty: give a directory or a git URL")
    path = OWN / f"{name}.yaml"
    if os.path.lexists(path):
        say(f"nothing was written: already exists: {path}")
        sys.exit(1)
    try:
        with open_project(project, OWN) as named:
            app = propose(name, path, named.tree, named.source)
    except BadSource as error:
        raise click.ClickException(str(error)) from None
    except BadApp as error:
        lines = "\n".join(f"  {line}" for line in error.lines)
        raise click.ClickException(f"nothing was written: {project}:\n{lines}") from None
    try:
        OWN.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(app.text)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
    left = f", {app.todo} marked TODO" if app.todo else ""
    click.echo(f"{path} written. Read its comments{left}; then run")
    click.echo("\n".join(_next(name, project, app.given, app.files)))


def _next(
    name: str, project: str, given: tuple[str, ...], files: tuple[tuple[str, str | None], ...]
) -> Iterator[str]:
    for file, example in files:
        target = OWN / file
        if example and Path(project).is_dir():
            source = quote(str(Path(project) / example))
            yield f"  cp {source} {target}   # and edit it"
        else:
            shown = f", as {example} of the project shows" if example else ""
            yield f"  $EDITOR {target}   # write it{shown}"
        if not _is_kept_out_of_git(target):
            yield f"  echo '*{target.suffix}' >>.gitignore   # it holds secrets"
    yield from (f"  export {secret}=…" for secret in given)
    yield f"  gpuhost deploy inventory.py {name} --dry"


def _is_kept_out_of_git(file: Path) -> bool:
    """Or the directory is in no repository, or git is not here."""
    from gpuhost.release.local_command import LocalCommandError, run_local

    try:
        asked = run_local(["git", "check-ignore", "-q", "--", str(file)], seconds=GIT_SECONDS)
    except LocalCommandError:
        return True
    return asked.status != 1
