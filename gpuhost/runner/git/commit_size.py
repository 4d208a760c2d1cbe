"""How many files a commit has: a few objects of a repository can stand for any number of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.sizes import format_size

SECONDS = 900
MOST_FILES = 1_000_000
# Bytes that stay free.
RESERVE = 256 << 20
OTHER = "release another commit (source.ref)"
# Prints the number of files and their bytes, or stops where there are too many.
COUNT = """
git "$1" ls-tree -r -l --full-tree "$2" | awk -v most="$3" -v room="$4" '
  { count += 1; if ($4 ~ /^[0-9]+$/) size += $4; if (count > most || size > room) exit }
  END { printf "%.0f %.0f\\n", count, size }'
"""


def require_room(log: Log, checkout: Path, commit: str) -> None:
    """Before `git checkout`, which lists all files in memory, and then writes them.

    + checkout: its directory, with the commit in .git

    Raises Failure.
    """
    room = room_at(checkout)
    git_dir = f"--git-dir={checkout / '.git'}"
    words = ("sh", "-c", COUNT, "sh", git_dir, commit, str(MOST_FILES), str(room))
    listed = try_run(log, *words, seconds=SECONDS, quiet=True)
    listed.require_ok("git ls-tree", SECONDS)
    count, size = map(int, listed.out.split())
    if count > MOST_FILES:
        raise Failure(f"commit {commit} has more than {MOST_FILES} files", fix=OTHER)
    if size > room:
        raise too_large(commit, size, checkout.parent)


def room_at(directory: Path) -> int:
    """Bytes that may be written there."""
    return max(0, shutil.disk_usage(directory).free - RESERVE)


class TooLarge(Failure):
    """The disk has not enough room for a commit."""


def too_large(commit: str, size: int, directory: Path) -> TooLarge:
    free = format_size(shutil.disk_usage(directory).free)
    return TooLarge(
        f"commit {commit} needs {format_size(size)} or more; the disk of {directory} has {free} "
        "free",
        fix=f"free disk space, or {OTHER}",
    )
