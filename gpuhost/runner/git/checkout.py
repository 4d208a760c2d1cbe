"""Checks out a commit of a repository into a release."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gpuhost.runner.git.access import Logins, logins_for
from gpuhost.runner.git.commands import LOCAL_S, Damaged, Git
from gpuhost.runner.git.submodules import check_out_submodules
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.commands import run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear
from gpuhost.runner.lib.source_paths import read_text
from gpuhost.runner.plan import Source
from gpuhost.runner.state.release import Release

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
# Refs that keep fetched commits in the app's copy of the repository.
KEPT = "refs/gpuhost/kept/"


def check_out(release: Release, source: Source, into: Path) -> None:
    """Check out the commit with its own .git into a new directory. Raises Failure.

    The app keeps a copy of the repository, so that the next release fetches only what is new.
    """
    if COMMIT.fullmatch(source.revision) is None:
        raise Failure(f"plan.json: {source.revision!r} is not a full commit hash")
    git = Git(release.log)
    with logins_for(release, source) as logins:
        checkout = _Checkout(release, source, into, git, logins)
        try:
            files = checkout.make()
        except Damaged:
            release.log.write("the app's copy of the repository is damaged: fetching it again")
            clear(release.app.git)
            clear(into)
            files = checkout.make()
        check_out_submodules(git, logins, into, files)
    _warn_of_lfs(release, into)


def forget(release: Release, kept: set[str]) -> None:
    """Delete commits from the app's copy, except those in `kept`."""
    copy = release.app.git
    if not copy.exists():
        return
    git = Git(release.log)
    try:
        names = git.ask(f"--git-dir={copy}", "for-each-ref", "--format=%(refname)", KEPT).split()
        if gone := [name for name in names if name.removeprefix(KEPT) not in kept]:
            with _changed(release) as new:
                git.forget(new, gone)
    except Failure as failure:
        release.log.write(f"warning: the app's copy of the repository stays: {failure.said}")


@contextmanager
def _changed(release: Release) -> Iterator[Path]:
    """The app's copy of the repository under another name, to be changed.

    It replaces the copy, or is deleted: what a git that has failed left is in no copy in use.
    """
    copy, new = release.app.git, release.app.new_git
    clear(new)
    try:
        if copy.exists():
            # Git makes new files, and changes none of these.
            words = ("cp", "-al", str(copy), str(new))
            run(release.log, *words, seconds=LOCAL_S, what="cp of the app's repository")
        yield new
        with abort.cleanup():
            clear(copy)
            new.rename(copy)
    except BaseException:
        with suppress(OSError), abort.cleanup():
            clear(new)
        raise


class _Checkout:
    def __init__(
        self, release: Release, source: Source, into: Path, git: Git, logins: Logins
    ) -> None:
        self.release = release
        self.source = source
        self.into = into
        self.git = git
        self.logins = logins

    def make(self) -> int:
        """Returns how many files the commit has."""
        self._fetch_commit()
        return self._check_out()

    def _fetch_commit(self) -> None:
        commit, address = self.source.revision, self.source.git
        with _changed(self.release) as copy:
            self.git.local("git init", "init", "--quiet", "--bare", str(copy))
            if self.git.has(copy, commit, address):
                self.release.log.write(f"commit {commit} is already fetched")
            else:
                self.release.log.write(f"fetching commit {commit}")
                self.git.fetch(copy, address, commit, self.logins.source, name=address)
            where = f"--git-dir={copy}"
            self.git.local("git update-ref", where, "update-ref", f"{KEPT}{commit}", commit)

    def _check_out(self) -> int:
        """Make a repository of its own: a Dockerfile may read the version from .git."""
        commit = self.source.revision
        self.git.begin(self.into, self.source.git)
        self.git.fetch_from_copy(self.into / ".git", self.release.app.git, f"{KEPT}{commit}")
        return self.git.check_out(self.into, commit, 0)


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
