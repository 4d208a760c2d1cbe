"""Checks out a commit of a repository into a release."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gpuhost.runner.failures.causes import cause
from gpuhost.runner.failures.git_failures import GONE, KNOWN
from gpuhost.runner.git.access import PROTOCOLS, access, is_local
from gpuhost.runner.git.bounded_fetch import delete_left, fetch
from gpuhost.runner.git.commit_size import TooLarge, require_room
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear
from gpuhost.runner.lib.source_paths import read_text
from gpuhost.runner.plan import Source
from gpuhost.runner.state.release import Release

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
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
)
LOCAL = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
# Refs that keep fetched commits in the app's copy of the repository.
KEPT = "refs/gpuhost/kept/"
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


def check_out(release: Release, source: Source, into: Path) -> None:
    """Check out the commit with its own .git into a new directory. Raises Failure.

    The app keeps a copy of the repository, so that the next release fetches only what is new.
    """
    if COMMIT.fullmatch(source.revision) is None:
        raise Failure(f"plan.json: {source.revision!r} is not a full commit hash")
    with access(release, source) as environment:
        checkout = _Checkout(release, source, into, environment)
        try:
            checkout.make()
        except _Damaged:
            release.log.write("the app's copy of the repository is damaged: fetching it again")
            clear(release.app.git)
            clear(into)
            checkout.make()
        except TooLarge:
            # The next release fetches what it needs: of each try, a part of the disk would be lost.
            with suppress(OSError), abort.cleanup():
                clear(release.app.git)
            raise
        checkout.submodules()
    _warn_of_lfs(release, into)


def forget(release: Release, kept: set[str]) -> None:
    """Delete commits from the app's copy, except those in `kept`."""
    copy = release.app.git
    if not copy.exists():
        return
    git = ("git", *SETTINGS, f"--git-dir={copy}")
    names = ("for-each-ref", "--format=%(refname)", KEPT)
    listed = try_run(release.log, *git, *names, seconds=LOCAL_S, env=LOCAL, quiet=True)
    gone = [name for name in listed.out.split() if name.removeprefix(KEPT) not in kept]
    for name in gone:
        try_run(release.log, *git, "update-ref", "-d", name, seconds=LOCAL_S, env=LOCAL)
    if gone:
        try_run(release.log, *git, "gc", "--quiet", seconds=LOCAL_S, env=LOCAL)


class _Damaged(Failure):
    """The app's copy of the repository is damaged."""


class _Checkout:
    def __init__(
        self, release: Release, source: Source, into: Path, environment: Mapping[str, str]
    ) -> None:
        self.release = release
        self.source = source
        self.into = into
        self.environment = environment
        self.copy = release.app.git

    def make(self) -> None:
        self._fetch_commit()
        self._check_out()

    def submodules(self) -> None:
        if not (self.into / ".gitmodules").exists():
            return
        self.release.log.write("fetching submodules")
        update = ("submodule", "update", "--init", "--recursive", "--force")
        outcome = self._remote(*update, "--depth=1")
        if not outcome.ok:
            self.release.log.write("fetching submodules again, with their whole history")
            outcome = self._remote(*update)
        if not outcome.ok:
            raise _failure("git submodule update", outcome)

    def _fetch_commit(self) -> None:
        commit, copy = self.source.revision, f"--git-dir={self.copy}"
        delete_left(self.release.log, self.copy)
        self._local("git init", "init", "--quiet", "--bare", "--template=", str(self.copy))
        if self._has(commit):
            self.release.log.write(f"commit {commit} is already fetched")
        else:
            self.release.log.write(f"fetching commit {commit}")
            try:
                self._fetch(commit)
            except BaseException:
                # It may be what fills the disk.
                with suppress(OSError, Failure), abort.cleanup():
                    delete_left(self.release.log, self.copy)
                raise
        self._local("git update-ref", copy, "update-ref", f"{KEPT}{commit}", commit)

    def _fetch(self, commit: str) -> None:
        address = ("--", self.source.git)
        single = self._fetched("--depth=1", *address, commit)
        if single.ok:
            return
        if any(words in line for words in DAMAGED for line in single.tail):
            raise _Damaged("the app's copy of the repository is damaged", output=single.tail)
        if not any(words in line for words in NO_SINGLE_COMMIT for line in single.tail):
            raise _failure(f"git fetch of {self.source.git}", single)
        self.release.log.write(
            "the server cannot send a single commit: fetching all branches and tags"
        )
        deepen = ["--unshallow"] if (self.copy / "shallow").exists() else []
        refs = ("+refs/heads/*:refs/gpuhost/heads/*", "+refs/tags/*:refs/gpuhost/tags/*")
        everything = self._fetched("--prune", *deepen, *address, *refs)
        if not everything.ok:
            raise _failure(f"git fetch of {self.source.git}", everything)
        if not self._has(commit):
            raise Failure(f"{self.source.git} no longer has commit {commit}", fix=GONE)

    def _has(self, commit: str) -> bool:
        """Whether the copy has the commit.

        Raises _Damaged if some of its files are missing: after an interrupted fetch or a power cut.
        """
        git = ("git", f"--git-dir={self.copy}")
        log = self.release.log
        exists = try_run(log, *git, "cat-file", "-e", commit, seconds=LOCAL_S, env=LOCAL)
        if not exists.ok:
            return False
        walk = ("rev-list", "--objects", "--max-count=1", "--quiet", commit, "--")
        if not try_run(log, *git, *walk, seconds=LOCAL_S, env=LOCAL).ok:
            raise _Damaged(f"the app's copy lacks files of commit {commit}")
        return True

    def _check_out(self) -> None:
        """Make a repository of its own: a Dockerfile may read the version from .git."""
        git_dir, commit = f"--git-dir={self.into / '.git'}", self.source.revision
        self._local("git init", "init", "--quiet", "--template=", str(self.into))
        # Relative addresses of submodules start here.
        self._local("git config", git_dir, "config", "remote.origin.url", self.source.git)
        from_copy = ("--quiet", "--depth=1", f"file://{self.copy}", f"{KEPT}{commit}")
        fetched = self._bounded(self.into / ".git", from_copy, LOCAL, LOCAL_S)
        if not fetched.ok:
            failure = _failure("git fetch from the app's copy", fetched)
            raise _Damaged(failure.said, output=failure.output, fix=failure.fix)
        require_room(self.release.log, self.into, commit)
        files = (f"--work-tree={self.into}", "checkout", "--quiet", "--force", "--detach", commit)
        self._local("git checkout", git_dir, *files)

    def _local(self, what: str, *words: str) -> None:
        command = ("git", *SETTINGS, *words)
        outcome = try_run(self.release.log, *command, seconds=LOCAL_S, env=LOCAL)
        if not outcome.ok:
            raise _failure(what, outcome)

    def _fetched(self, *words: str) -> Outcome:
        protocols = f"{PROTOCOLS}:file" if is_local(self.source.git) else PROTOCOLS
        env = {**self.environment, "GIT_ALLOW_PROTOCOL": protocols}
        return self._bounded(self.copy, words, env, FETCH_S)

    def _bounded(
        self, git_dir: Path, words: Sequence[str], env: Mapping[str, str], seconds: float
    ) -> Outcome:
        log, commit = self.release.log, self.source.revision
        return fetch(log, git_dir, commit, words, seconds=seconds, env=env, settings=SETTINGS)

    def _remote(self, *words: str) -> Outcome:
        """In the checkout, and never from another repository of this host."""
        return self._git(words, cwd=self.into)

    def _git(
        self, words: Sequence[str], more: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Outcome:
        env = {**self.environment, **(more or {})}
        command = ("git", *SETTINGS, *words)
        return try_run(self.release.log, *command, seconds=FETCH_S, env=env, cwd=cwd)


def _failure(what: str, outcome: Outcome) -> Failure:
    said, fix = cause(outcome.tail, outcome.status, KNOWN)
    return Failure(f"{what}: {said}", output=outcome.tail, fix=fix)


def _warn_of_lfs(release: Release, into: Path) -> None:
    attributes = into / ".gitattributes"
    if attributes.is_symlink():  # git does not follow it either
        return
    try:
        text = read_text(into, attributes) or ""
    except Failure as failure:
        release.log.write(f"warning: {failure.said}; whether files are in Git LFS is not known")
        return
    if "filter=lfs" in text:
        release.log.write("warning: files in Git LFS are not fetched, only their pointers")
