"""The files of a commit, read from its repository into a temporary copy without a work tree."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gpuhost.appfile.compose.project_files import MAX_BYTES, Kind, Unreadable, decoded
from gpuhost.appfile.source import Source
from gpuhost.release.git import BadGit, failure, login
from gpuhost.release.local_command import Completed, LocalCommandError, run_local
from gpuhost.release.secrets import GivenSecrets
from gpuhost.runner.contract import PLACEHOLDERS

FETCH_SECONDS = 300
READ_SECONDS = 60
TREE = "040000"
# A link to a file is a file, as for Compose; its text is that of its target. Linux follows as many.
LINK = "120000"
MAX_LINKS = 40
NAMES = ("refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")


@contextmanager
def commit_files(source: Source, secrets: GivenSecrets, commit: str) -> Iterator[GitFiles]:
    """The files of a commit, as long as the context lasts. Raises BadGit."""
    url = source.git or ""
    with (
        TemporaryDirectory(prefix="gpuhost-git-") as directory,
        login(source, secrets, url) as (options, environment),
    ):
        copy = Path(directory) / "single"
        git = _fetch(_Git(copy, tuple(options), environment, secrets, url), commit)
        yield GitFiles(git, commit, _entries(git, commit))


@dataclass(frozen=True)
class _Git:
    """git in the temporary copy, with the login of the source."""

    directory: Path
    options: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: GivenSecrets
    url: str

    def run(self, *words: str, seconds: float = READ_SECONDS) -> Completed:
        """Raises BadGit: it could not be run, or did not end in time."""
        command = ["git", *self.options, f"--git-dir={self.directory}", *words]
        try:
            return run_local(command, seconds=seconds, environment=self.environment)
        except LocalCommandError as error:
            raise failure(f"git {words[0]} {self.url}", str(error), self.secrets) from None

    def require(self, *words: str, seconds: float = READ_SECONDS) -> Completed:
        """Raises BadGit if it fails too."""
        result = self.run(*words, seconds=seconds)
        if result.status:
            said = result.err or f"exit {result.status}"
            raise failure(f"git {words[0]} {self.url}", said, self.secrets)
        return result


def _fetch(git: _Git, commit: str) -> _Git:
    """The commit alone, without the content of its files; or, from a simple server, everything."""
    _init(git)
    single = ("fetch", "-q", "--no-tags", "--filter=blob:none", "--depth=1", "origin", commit)
    if git.run(*single, seconds=FETCH_SECONDS).status == 0:
        return git
    # Another copy: in the first one git would ask a server that cannot send single objects.
    whole = replace(git, directory=git.directory.with_name("whole"))
    _init(whole)
    names = (f"+{name}" for name in NAMES)
    whole.require("fetch", "-q", "--no-tags", "origin", *names, seconds=FETCH_SECONDS)
    if whole.run("cat-file", "-e", f"{commit}^{{commit}}").status:
        raise BadGit(f"{git.url}: it has no commit {commit}", "check source.ref")
    return whole


def _init(git: _Git) -> None:
    git.require("init", "-q", "--bare", str(git.directory))
    git.require("config", "remote.origin.url", git.url)


def _entries(git: _Git, commit: str) -> dict[str, str]:
    """Mode of each path; submodules are directories."""
    listed = git.require("ls-tree", "-r", "-t", "-z", "--full-tree", commit).out
    entries = {}
    for line in listed.decode("utf-8", "surrogateescape").split("\0"):
        described, tab, path = line.partition("\t")
        if tab:
            entries[path] = described.partition(" ")[0]
    return entries


@dataclass
class GitFiles:
    """Paths of a commit."""

    git: _Git = field(repr=False)
    commit: str
    entries: Mapping[str, str]

    def kind(self, path: str) -> Kind:
        path = self._resolved(path)
        if path == ".":
            return Kind.DIRECTORY
        mode = self.entries.get(path)
        if mode is None:
            return Kind.ABSENT
        if mode == "160000":
            return Kind.DIRECTORY
        if mode != TREE:
            return Kind.FILE
        inside = (name for name in self.entries if name.startswith(f"{path}/"))
        files = (name for name in inside if self.entries[name] != TREE)
        is_empty = all(posixpath.basename(name) in PLACEHOLDERS for name in files)
        return Kind.EMPTY if is_empty else Kind.DIRECTORY

    def read(self, path: str) -> str:
        try:
            return decoded(self._blob(self._resolved(path)))
        except BadGit as error:
            raise Unreadable(f"cannot be read: {error}") from None

    def shown(self, path: str) -> str:
        return path

    def _blob(self, path: str) -> bytes:
        """Raises BadGit, or Unreadable: it is too large."""
        blob = f"{self.commit}:{path}"
        size = self.git.require("cat-file", "-s", blob).out
        if int(size) > MAX_BYTES:
            raise Unreadable(f"larger than {MAX_BYTES} bytes")
        return self.git.require("cat-file", "blob", blob).out

    def _resolved(self, path: str) -> str:
        """The path with links in it followed; "", which no file has, if they are too many."""
        for _ in range(MAX_LINKS + 1):
            parts = path.split("/")
            ways = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
            link = next((way for way in ways if self.entries.get(way) == LINK), None)
            if link is None:
                return path
            try:
                target = self._blob(link).decode("utf-8", "replace")
            except Unreadable:
                return path  # as large as it is, it cannot be read as a file either
            except BadGit:
                return ""
            rest = path.removeprefix(link)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(link), target) + rest)
        return ""
