"""Runs git: without root's own settings, and with no larger file than the disk has room for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gpuhost.runner.failures.causes import cause
from gpuhost.runner.failures.git_failures import GONE, KNOWN
from gpuhost.runner.git.commit_size import require_room
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.room import Room
from gpuhost.runner.lib.sizes import format_size

# For a large repository over a slow line; a stalled connection ends much earlier.
FETCH_S = 3600
LOCAL_S = 900
# Override root's own settings: no stored password, no hook.
SETTINGS = (
    *("-c", "credential.helper="),
    *("-c", "credential.useHttpPath=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "http.lowSpeedLimit=1000"),
    *("-c", "http.lowSpeedTime=60"),
    *("-c", "gc.auto=0"),
    *("-c", "advice.detachedHead=false"),
    # One file, whose size is limited.
    *("-c", "fetch.unpackLimit=1"),
)
# Files get the bytes that the commit has: the controller has read those, and counted them.
ATTRIBUTES = "* -text !eol !ident !filter !working-tree-encoding\n"
LOCAL = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
# Errors of a server that cannot send a single commit.
NO_SINGLE_COMMIT = (
    "unadvertised object",
    "not valid",
    "couldn't find remote ref",
    "shallow capabilities",
    "does not support shallow",
    "dumb http transport",
)
# Errors of a damaged copy.
DAMAGED = ("all necessary objects", "is corrupt", "object file", "bad object", "unresolved deltas")
FULL = ("No space left on device", "File too large")
# Git itself says then what has failed.
WITH_LIMIT = 'trap "" XFSZ; room=$1; shift; exec prlimit --fsize="$room" "$@"'
# A lock or a part of a download, which a killed git has left.
# Names of branches are an author's, but none ends so.
OF_DOWNLOADS = ("-path", "*/objects/*", "-name", "tmp_*")
LEFT = ("(", "-name", "*.lock", "-o", *OF_DOWNLOADS, ")", "-type", "f", "-delete")


class Damaged(Failure):
    """The app's copy of a repository is damaged."""


class NoRoom(Failure):
    """A repository is larger than the disk has room for."""


class Git:
    """+ environment: for a server, see access.py"""

    def __init__(self, log: Log, environment: Mapping[str, str]) -> None:
        self.log = log
        self._environment = environment

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
        self, git_dir: Path, address: str, commit: str, *, name: str, protocols: str = ""
    ) -> None:
        """Fetch a commit; all branches and tags if the server cannot send it alone.

        + name: of the repository, for messages
        + protocols: that are allowed; "": those of the environment

        Raises Failure, which may be Damaged or NoRoom.
        """
        fetch, where = ("fetch", "--no-tags"), ("--", address)
        single = self._fetched(git_dir, protocols, *fetch, "--depth=1", *where, commit)
        if single.ok:
            return
        if _says(single, DAMAGED):
            raise Damaged(f"the copy of {name} is damaged", output=single.tail)
        if not _says(single, NO_SINGLE_COMMIT):
            raise _failure(f"git fetch of {name}", single)
        self.log.write("the server cannot send a single commit: fetching all branches and tags")
        deepen = ["--unshallow"] if (git_dir / "shallow").exists() else []
        refs = ("+refs/heads/*:refs/gpuhost/heads/*", "+refs/tags/*:refs/gpuhost/tags/*")
        every = self._fetched(git_dir, protocols, *fetch, "--prune", *deepen, *where, *refs)
        if not every.ok:
            raise _failure(f"git fetch of {name}", every)
        if not self.has(git_dir, commit, name):
            raise Failure(f"{name} no longer has commit {commit}", fix=GONE)

    def fetch_from_copy(self, git_dir: Path, copy: Path, ref: str) -> None:
        """Raises Damaged or NoRoom."""
        words = ("fetch", "--quiet", "--no-tags", "--depth=1", f"file://{copy}", ref)
        fetched = self._fetched(git_dir, "file", *words)
        if not fetched.ok:
            raise Damaged("git fetch from the app's copy failed", output=fetched.tail)

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
        walk = ("rev-list", "--objects", "--max-count=1", "--quiet", commit, "--")
        if not try_run(self.log, *git, *walk, seconds=LOCAL_S, env=LOCAL).ok:
            raise Damaged(f"the copy of {name} lacks files of commit {commit}")
        return True

    def discard_left(self, git_dir: Path) -> None:
        """The app's lock is held: these are of a git that was killed, or had no room."""
        # Not by rglob, which is a recursion: a branch's name can be 2000 directories deep.
        if git_dir.exists():
            with abort.cleanup():
                try_run(self.log, "find", str(git_dir), *LEFT, seconds=LOCAL_S)

    def _fetched(self, git_dir: Path, protocols: str, *words: str) -> Outcome:
        """Raises NoRoom."""
        with DirectoryHandle.open(git_dir) as handle:
            room = Room.of(handle).usable
        allowed = {"GIT_ALLOW_PROTOCOL": protocols} if protocols else {}
        try:
            outcome = try_run(
                self.log,
                *("sh", "-c", WITH_LIMIT, "sh", str(room), "git", *SETTINGS),
                *(f"--git-dir={git_dir}", *words),
                seconds=FETCH_S,
                env={**self._environment, **allowed},
            )
        except BaseException:
            # Ended while it wrote.
            self.discard_left(git_dir)
            raise
        if not outcome.ok:
            self.discard_left(git_dir)
            if _says(outcome, FULL):
                raise NoRoom(
                    f"the commit is larger than the disk of {git_dir} has room for, "
                    f"{format_size(room)}",
                    output=outcome.tail,
                    fix="free disk space, or release another commit (source.ref)",
                )
        return outcome


def _says(outcome: Outcome, texts: tuple[str, ...]) -> bool:
    return any(text in line for text in texts for line in outcome.tail)


def _failure(what: str, outcome: Outcome) -> Failure:
    said, fix = cause(outcome.tail, outcome.status, KNOWN)
    return Failure(f"{what}: {said}", output=outcome.tail, fix=fix)
