"""gpuhost init."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import click

from gpuhost.cli.common.app_from_project import write_app
from gpuhost.cli.common.non_empty_path import NonEmptyPath
from gpuhost.cli.common.streams import say

TREE = Path(__file__).parents[1] / "templates" / "repository"


@click.command()
@click.argument("directory", required=False, type=NonEmptyPath(path_type=Path))
@click.option("--app", metavar="NAME", help="Write only apps/NAME.yaml, for the project of --from.")
@click.option(
    "--from", "project", metavar="PROJECT", help="A directory, or a git URL, with #REF or without."
)
def init(directory: Path | None, app: str | None, project: str | None) -> None:
    """Write a repository for your own servers and apps, or the file of one app.

    DIRECTORY: where to write it; default: the current directory. It has an inventory, group_data
    with every setting, an example app, the deploys, a .gitignore that excludes secrets, and a
    nightly drift check for GitHub Actions. No file is overwritten: if one of them exists, nothing
    is written.

    With --app and --from, it reads the Compose files, Dockerfiles and .env.example of a project,
    and writes apps/NAME.yaml in the current directory, with the reason for each line.

    \b
    gpuhost init
    gpuhost init hosts
    gpuhost init --app tts --from ../tts
    gpuhost init --app tts --from https://git.example.com/me/tts.git#main

    \b
    Exit status:
      1  a file already exists, or cannot be written; a project that cannot be read
      0  the files are written
    """
    if app is not None or project is not None:
        if app is None or project is None or directory is not None:
            raise click.UsageError("--app and --from need each other, and no DIRECTORY")
        write_app(app, project)
        return
    _write_repository(directory or Path())


def _write_repository(directory: Path) -> None:
    files = {directory / path: TREE / path for path in sorted(_files(TREE))}
    if existing := _existing(files):
        say(f"nothing was written: already exists: {', '.join(map(str, existing))}")
        sys.exit(1)
    try:
        for path, source in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
    click.echo(_next_steps(directory, len(files)))


def _files(tree: Path) -> Iterator[Path]:
    # In a checkout, parts of the tree are links to directories.
    for parent, directories, names in os.walk(tree, followlinks=True):
        directories[:] = [name for name in directories if name != "__pycache__"]
        yield from ((Path(parent) / name).relative_to(tree) for name in names)


def _existing(files: dict[Path, Path]) -> list[Path]:
    """Files that exist already, and files where a directory is needed."""
    parents = {parent for path in files for parent in (path.parent, *path.parent.parents)}
    not_directories = {one for one in parents if os.path.lexists(one) and not one.is_dir()}
    return sorted(not_directories or {path for path in files if os.path.lexists(path)})


def _next_steps(directory: Path, count: int) -> str:
    enter = "" if directory == Path() else f"  cd {quote(str(directory))}\n"
    return (
        f"{count} files written. Add your servers to {directory / 'inventory.py'}, then run\n"
        f"{enter}"
        "  gpuhost check inventory.py             check the servers; changes nothing\n"
        "  gpuhost provision inventory.py --dry   show what would change"
    )
