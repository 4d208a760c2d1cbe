"""gpuhost init."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import click

from gpuhost.cli.common.non_empty_path import NonEmptyPath
from gpuhost.cli.common.streams import say

TREE = Path(__file__).parents[1] / "templates" / "repository"


@click.command()
@click.argument("directory", default=".", type=NonEmptyPath(path_type=Path))
def init(directory: Path) -> None:
    """Write a repository for your own servers and apps.

    DIRECTORY: where to write it; default: the current directory. It has an inventory, group_data
    with every setting, an example app, the deploys, a .gitignore that excludes secrets, and a
    nightly drift check for GitHub Actions. No file is overwritten: if one of them exists, nothing
    is written.

    \b
    gpuhost init
    gpuhost init hosts

    \b
    Exit status:
      1  a file already exists, or cannot be written
      0  the files are written
    """
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
