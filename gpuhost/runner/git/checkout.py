"""Checks out a commit of a repository into a release."""

from __future__ import annotations

import re
from pathlib import Path

from gpuhost.runner.git.access import PROTOCOLS, access, is_local
from gpuhost.runner.git.commands import LOCAL, LOCAL_S, SETTINGS, Damaged, Git
from gpuhost.runner.git.submodules import check_out_submodules
from gpuhost.runner.lib.commands import try_run
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
    with access(release, source) as environment:
        git = Git(release.log, environment)
        checkout = _Checkout(release, source, into, git)
        try:
            files = checkout.make()
        except Damaged:
            release.log.write("the app's copy of the repository is damaged: fetching it again")
            clear(release.app.git)
            clear(into)
            files = checkout.make()
        check_out_submodules(git, into, files)
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


class _Checkout:
    def __init__(self, release: Release, source: Source, into: Path, git: Git) -> None:
        self.release = release
        self.source = source
        self.into = into
        self.git = git
        self.copy = release.app.git

    def make(self) -> int:
        """Returns how many files the commit has."""
        self._fetch_commit()
        return self._check_out()

    def _fetch_commit(self) -> None:
        commit, copy = self.source.revision, f"--git-dir={self.copy}"
        self.git.discard_left(self.copy)
        self.git.local("git init", "init", "--quiet", "--bare", "--template=", str(self.copy))
        if self.git.has(self.copy, commit, self.source.git):
            self.release.log.write(f"commit {commit} is already fetched")
        else:
            self.release.log.write(f"fetching commit {commit}")
            protocols = f"{PROTOCOLS}:file" if is_local(self.source.git) else PROTOCOLS
            address = self.source.git
            self.git.fetch(self.copy, address, commit, name=address, protocols=protocols)
        self.git.local("git update-ref", copy, "update-ref", f"{KEPT}{commit}", commit)

    def _check_out(self) -> int:
        """Make a repository of its own: a Dockerfile may read the version from .git."""
        commit = self.source.revision
        self.git.begin(self.into, self.source.git)
        self.git.fetch_from_copy(self.into / ".git", self.copy, f"{KEPT}{commit}")
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
