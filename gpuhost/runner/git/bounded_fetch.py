"""A fetch that leaves room on the disk: a commit can be larger than it."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from gpuhost.runner.git.commit_size import room_at, too_large
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.log import Log

CLEANUP_S = 900
# One pack, which a limit of its size stops, not a file for each object.
ONE_PACK = ("-c", "fetch.unpackLimit=1")
FULL = "No space left on device"


def fetch(
    log: Log,
    git_dir: Path,
    commit: str,
    words: Sequence[str],
    *,
    seconds: float,
    env: Mapping[str, str],
    settings: Sequence[str],
) -> Outcome:
    """Run `git fetch`. Raises Failure if the disk has not enough room."""
    # Of a file: half for the pack, half for its index, which may be as large.
    most = room_at(git_dir) // 2
    git = ("git", *settings, *ONE_PACK, f"--git-dir={git_dir}")
    command = ("prlimit", f"--fsize={most}", "--core=0", *git, "fetch", "--no-tags", *words)
    outcome = try_run(log, *command, seconds=seconds, env=env)
    if not outcome.ok and _is_too_large(git_dir, most, outcome):
        # Before the disk is looked at.
        delete_left(log, git_dir)
        raise too_large(commit, most, git_dir.parent)
    return outcome


def delete_left(log: Log, git_dir: Path) -> None:
    """What a git that was killed or failed has left; none runs now.

    Not by rglob, which is a recursion: a branch's name can be 2000 directories deep.
    """
    if git_dir.exists():
        started = ("-path", f"{git_dir}/objects/*", "(", "-name", "tmp_*", "-o")
        names = ("-name", "*.lock", "-o", *started, "-name", "*.temp", ")")
        words = ("find", str(git_dir), "-type", "f", "(", *names, ")", "-delete")
        try_run(log, *words, seconds=CLEANUP_S)


def _is_too_large(git_dir: Path, most: int, outcome: Outcome) -> bool:
    """Whether the fetch reached the limit of a file, of which git says nothing."""
    lines = (line for line in outcome.tail if not line.startswith("remote:"))
    started = (git_dir / "objects/pack").glob("tmp_*")
    return (
        outcome.status == -signal.SIGXFSZ
        or any(FULL in line for line in lines)
        or any(path.stat().st_size >= most for path in started)
    )
