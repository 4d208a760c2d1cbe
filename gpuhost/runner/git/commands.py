"""Runs git: without root's own settings, and while the disk has room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from gpuhost.runner.failures.causes import cause
from gpuhost.runner.failures.git_failures import GONE, KNOWN
from gpuhost.runner.git.access import NOTHING_OF_ROOT
from gpuhost.runner.git.commit_size import require_room
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.room import require_left

# For a large repository over a slow line; a stalled connection ends much earlier.
FETCH_S = 3600
LOCAL_S = 900
# Override root's own settings, which a source may need: no stored password, no hook.
SETTINGS = (
    *("-c", "credential.helper="),
    *("-c", "credential.useHttpPath=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "http.lowSpeedLimit=1000"),
    *("-c", "http.lowSpeedTime=60"),
    *("-c", "gc.auto=0"),
    *("-c", "advice.detachedHead=false"),
    # One file for all objects.
    *("-c", "fetch.unpackLimit=1"),
)
# Files get the bytes that the commit has: the controller has read those, and counted them.
ATTRIBUTES = "* -text !eol !ident !working-tree-encoding\n"
LOCAL = {"GIT_TERMINAL_PROMPT": "0", **NOTHING_OF_ROOT}
# Errors of a server that cannot send a single commit.
NO_SINGLE_COMMIT = (
    "unadvertised object",
    "not valid",
    "couldn't find remote ref",
    "shallow capabilities",
    "does not support shallow",
    "dumb http transport",
)
FREE_SPACE = "free disk space, or release another commit (source.ref)"


class Damaged(Failure):
    """The app's copy of a repository is damaged."""


class Git:
    def __init__(self, log: Log) -> None:
        self.log = log

    def local(self, what: str, *words: str) -> None:
        """Raises Failure. + what: names the command in it"""
        outcome = try_run(self.log, "git", *SETTINGS, *words, seconds=LOCAL_S, env=LOCAL)
        if not outcome.ok:
            raise _failure(what, outcome)

    def begin(self, into: Path, address: str) -> None:
        """Make a repository of its own. Relative addresses of submodules start at `address`."""
        self.local("git init", "init", "--quiet", "--template=", str(into))
        where = f"--git-dir={into / '.git'}"
        self.local("git config", where, "config", "remote.origin.url", address)

    def check_out(self, into: Path, commit: str, files: int) -> int:
        """Returns how many files there are. + files: beside those of this commit

        Raises Failure.
        """
        files = require_room(self.log, into, commit, files)
        attributes = into / ".git/info/attributes"
        attributes.parent.mkdir(exist_ok=True)
        attributes.write_text(ATTRIBUTES, encoding="ascii")
        where = (f"--git-dir={into / '.git'}", f"--work-tree={into}")
        self.local("git checkout", *where, "checkout", "--quiet", "--force", "--detach", commit)
        return files

    def fetch(
        self, git_dir: Path, address: str, commit: str, env: Mapping[str, str], *, name: str
    ) -> None:
        """Fetch a commit; all branches and tags if the server cannot send it alone.

        + env: see access.py
        + name: of the repository, for messages

        Raises Failure, which may be Damaged.
        """
        fetch, where = ("fetch", "--no-tags"), ("--", address)
        single = self._watched(git_dir, name, env, *fetch, "--depth=1", *where, commit)
        if single.ok:
            return
        if not self._is_whole(git_dir, "--all"):
            raise Damaged(f"the copy of {name} is damaged", output=single.tail)
        if not any(text in line for text in NO_SINGLE_COMMIT for line in single.tail):
            raise _failure(f"git fetch of {name}", single)
        self.log.write("the server cannot send a single commit: fetching all branches and tags")
        deepen = ["--unshallow"] if (git_dir / "shallow").exists() else []
        refs = ("+refs/heads/*:refs/gpuhost/heads/*", "+refs/tags/*:refs/gpuhost/tags/*")
        every = self._watched(git_dir, name, env, *fetch, "--prune", *deepen, *where, *refs)
        if not every.ok:
            raise _failure(f"git fetch of {name}", every)
        if not self.has(git_dir, commit, name):
            raise Failure(f"{name} no longer has commit {commit}", fix=GONE)

    def fetch_from_copy(self, git_dir: Path, copy: Path, ref: str) -> None:
        """Raises Failure, which may be Damaged."""
        words = ("fetch", "--quiet", "--no-tags", "--depth=1", f"file://{copy}", ref)
        fetched = self._watched(git_dir, "the app's copy", LOCAL, *words)
        if not fetched.ok:
            raise Damaged("git fetch from the app's copy failed", output=fetched.tail)

    def forget(self, git_dir: Path, refs: Iterable[str]) -> None:
        """Raises Failure."""
        for ref in refs:
            self.local("git update-ref", f"--git-dir={git_dir}", "update-ref", "-d", ref)
        # All that is kept is written again.
        self._watched(git_dir, "the app's copy", LOCAL, "gc", "--quiet").require_ok(
            "git gc", FETCH_S
        )

    def ask(self, *words: str) -> str:
        """What git answers; "" if it has found nothing. Raises Failure."""
        command = ("git", *SETTINGS, *words)
        outcome = try_run(self.log, *command, seconds=LOCAL_S, env=LOCAL, quiet=True)
        if outcome.status != 1:
            outcome.require_ok("git", LOCAL_S)
        return outcome.out

    def has(self, git_dir: Path, commit: str, name: str) -> bool:
        """Whether the copy has the commit.

        Raises Damaged if some of its files are missing: after an interrupted fetch or a power cut.
        """
        git = ("git", f"--git-dir={git_dir}")
        exists = try_run(self.log, *git, "cat-file", "-e", commit, seconds=LOCAL_S, env=LOCAL)
        if not exists.ok:
            return False
        if not self._is_whole(git_dir, "--max-count=1", commit):
            raise Damaged(f"the copy of {name} lacks files of commit {commit}")
        return True

    def _is_whole(self, git_dir: Path, *commits: str) -> bool:
        """Read from the disk: what a failed fetch printed may be the server's words."""
        walk = ("rev-list", "--objects", "--quiet", *commits, "--")
        git = ("git", f"--git-dir={git_dir}")
        return try_run(self.log, *git, *walk, seconds=LOCAL_S, env=LOCAL).ok

    def _watched(self, git_dir: Path, name: str, env: Mapping[str, str], *words: str) -> Outcome:
        """Raises Failure when the disk is nearly full: the caller deletes the directory."""
        with DirectoryHandle.open(git_dir.parent) as directory:

            def look_at_disk() -> None:
                require_left(directory, f"git {words[0]} of {name}", FREE_SPACE)

            look_at_disk()
            outcome = try_run(
                self.log,
                *("git", *SETTINGS, f"--git-dir={git_dir}", *words),
                seconds=FETCH_S,
                env=env,
                watch=look_at_disk,
            )
            if not outcome.ok:
                # It may have been faster than the watch.
                look_at_disk()
        return outcome


def _failure(what: str, outcome: Outcome) -> Failure:
    said, fix = cause(outcome.tail, outcome.status, KNOWN)
    return Failure(f"{what}: {said}", output=outcome.tail, fix=fix)
