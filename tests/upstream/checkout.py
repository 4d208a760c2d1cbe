"""A repository for a release: a clone at the pinned revision, with good and broken revisions."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.e2e.commands import ROOT
from tests.lab.hosts import LabHost
from tests.lab.process import LabError, run
from tests.upstream.system import Change, System

GIT = (
    *("git", "-c", "user.name=upstream", "-c", "user.email=upstream@example.com"),
    *("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0"),
)
PORT = 8418
BRANCH = "upstream-test"
SERVED = "/srv/upstream"


@dataclass(frozen=True)
class Revisions:
    """Commits of the temporary clone, on top of the pinned one.

    + pinned: upstream's commit
    + good: it, with the stubs
    + next: the same with another file: a new release
    + broken: a release that must be rolled back
    """

    pinned: str
    good: str
    next: str
    broken: str


def find(directory: Path, repository: str) -> Path:
    """The clone of a repository, by its name or owner+name."""
    owner, _, name = repository.partition("/")
    for path in (directory / name, directory / f"{owner}+{name}"):
        if (path / ".git").exists():
            return path
        # A mirror has no work tree.
        for bare in (path, *path.glob("*")):
            if (bare / "HEAD").is_file() and (bare / "objects").is_dir():
                return bare
    raise LabError(f"{directory}: no clone of {repository}; looked for {name} and {owner}+{name}")


def pinned_ref(app_file: str) -> str:
    """The revision in an app file."""
    return _one(r"^    ref: (\S+)", app_file)


def with_source(app_file: str, url: str, revision: str) -> str:
    """The app file with another repository and revision; the rest stays as it is."""
    text = re.sub(r"(?m)^    git: \S+", f"    git: {url}", app_file, count=1)
    return re.sub(r"(?m)^    ref: \S+", f"    ref: {revision}", text, count=1)


def make(clone: Path, into: Path, system: System, ref: str) -> Revisions:
    """Copy the clone, and commit the stubs and the revisions on top of the pinned commit."""
    run([*GIT, "clone", "-q", "--no-checkout", str(clone), str(into)], timeout=300)
    _git(into, "checkout", "-q", "--detach", ref)
    pinned = _head(into)
    # Without history: a clone may lack large files of other revisions.
    _git(into, "checkout", "-q", "--orphan", BRANCH)
    _git(into, "commit", "-q", "--allow-empty", "-m", f"upstream's {pinned}")
    for stub in system.stubs:
        _commit(into, stub.what, stub.changes)
    good = _head(into)
    new_file = Change("REVISION", "", "the next revision\n")
    _commit(into, "the next revision", (new_file,))
    following = _head(into)
    _commit(into, "a broken revision", (system.broken,))
    return Revisions(pinned, good, following, _head(into))


def serve(host: LabHost, repository: Path, name: str) -> str:
    """Serve the repository on the host over HTTP; return its URL."""
    bare = repository.with_name(f"{name}.git")
    run([*GIT, "init", "-q", "--bare", "-b", BRANCH, str(bare)], timeout=60)
    _git(repository, "push", "-q", str(bare), BRANCH)
    _git(bare, "update-server-info")
    host.run(f"mkdir -p {SERVED} && rm -rf {SERVED}/{bare.name}")
    host.run(f"tar -x -C {SERVED}", stdin=_tar(bare), timeout=300)
    serving = f"python3 -m http.server -b 127.0.0.1 -d {SERVED} {PORT}"
    host.run(
        "systemctl is-active -q upstream-git ||"
        f" systemd-run -q --unit=upstream-git {serving} 2>/dev/null"
    )
    return f"http://127.0.0.1:{PORT}/{bare.name}"


@contextmanager
def served_here(directory: Path) -> Iterator[dict[str, str]]:
    """Serve the repositories in a directory on this machine too, for the controller.

    Yields the environment with which git asks here for what the host serves itself.
    """
    handler = partial(_Files, directory=str(directory))
    serving = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=serving.serve_forever)
    thread.start()
    here = f"http://127.0.0.1:{serving.server_port}/"
    try:
        yield {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{here}.insteadOf",
            "GIT_CONFIG_VALUE_0": f"http://127.0.0.1:{PORT}/",
        }
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Requests are not logged."""


def _tar(directory: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.add(directory, arcname=directory.name)
    return stream.getvalue()


def _commit(tree: Path, message: str, changes: tuple[Change, ...]) -> None:
    for change in changes:
        path = tree / change.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_changed(path, change))
    if changes:
        _git(tree, "add", "-f", *(change.file for change in changes))
        _git(tree, "commit", "-q", "-m", message)


def _changed(path: Path, change: Change) -> str:
    if not change.find:
        return change.replace
    text = path.read_text()
    if text.count(change.find) != 1:
        raise LabError(f"{change.file}: {change.find[:60]!r} is not there exactly once")
    return text.replace(change.find, change.replace)


def _head(tree: Path) -> str:
    return _git(tree, "rev-parse", "HEAD").strip()


def _git(tree: Path, *arguments: str) -> str:
    # The same commits each time: what is kept of an earlier run is used again.
    dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-01-01T00:00:00Z")
    return run([*GIT, "-C", str(tree), *arguments], timeout=300, env=dates).stdout


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise LabError(f"the app file has no line {pattern}")
    return found[1]


def app_file(name: str) -> str:
    """The text of an app file of gpuhost."""
    return (ROOT / "apps" / f"{name}.yaml").read_text()
