"""How many files a commit has: a few objects of a repository can stand for any number of them."""

from __future__ import annotations

from pathlib import Path

from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.room import BLOCK, Room
from gpuhost.runner.lib.sizes import format_size

SECONDS = 900
MOST_FILES = 1_000_000
OTHER = "release another commit (source.ref)"
# Prints the number of files and directories, and their bytes, or stops where there are too many.
COUNT = """
{ git "$1" ls-tree -r -t -l --full-tree "$2" || echo failed; } 2>&1 |
awk -v most="$3" -v room="$4" -v block="$5" '
  $0 == "failed" { failed = 1; exit }
  { last = $0; count += 1; size += (int($4 / block) + 1) * block }
  count > most || size > room { exit }
  END { if (failed) { print last; exit 1 } printf "%.0f %.0f\\n", count, size }'
"""


def require_room(log: Log, checkout: Path, commit: str, files: int = 0) -> int:
    """Before `git checkout`, which lists all files in memory, and then writes them.

    + checkout: its directory, with the commit in .git
    + files: of the source that are there already

    Returns how many there will be.

    Raises Failure.
    """
    with DirectoryHandle.open(checkout) as directory:
        disk = Room.of(directory)
    most = int(min(MOST_FILES - files, disk.usable_inodes))
    git_dir = f"--git-dir={checkout / '.git'}"
    words = ("sh", "-c", COUNT, "sh", git_dir, commit, str(most), str(disk.usable), str(BLOCK))
    listed = try_run(log, *words, seconds=SECONDS, quiet=True)
    listed.require_ok("git ls-tree", SECONDS)
    count, size = map(int, listed.out.split())
    if count > most:
        beside = " with those beside it" if files else ""
        said = f"commit {commit} has more than {most + files} files and directories{beside}"
        if most + files < MOST_FILES:
            said += ", for which the disk has inodes"
        raise Failure(said, fix=OTHER)
    if size > disk.usable:
        raise Failure(
            f"commit {commit} needs {format_size(size)} or more; the disk of {checkout.parent} "
            f"has {format_size(disk.free)} free",
            fix=f"free disk space, or {OTHER}",
        )
    return files + count
