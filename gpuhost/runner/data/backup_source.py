"""Opens what a backup declares, by handles: a container can exchange a path at any moment."""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.contract import NOT_THERE
from gpuhost.runner.data.safe_paths import open_parent
from gpuhost.runner.lib.directory_handle import DirectoryHandle, Entry
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.release import Release


@dataclass(frozen=True)
class Source:
    """A file or directory of an app.

    + handle: the directory itself, or that of the file
    + file: the name of the file; "": it is a directory
    + path: the real one, when it was opened
    """

    handle: DirectoryHandle
    file: str
    path: Path

    def walk(self, without: Collection[Path]) -> Iterator[Entry]:
        """Paths begin with the name of the file or directory.

        + without: files and directories to leave out
        """
        left_out = {str(path) for path in without}
        above, top = str(self.path.parent).rstrip("/"), self.path.name
        if self.file:
            yield from self.handle.walk(self.file)
            return
        yield Entry(top, self.handle, "", self.handle.state())
        for name in self.handle.iterate():
            for entry in self.handle.walk(name):
                path = f"{top}/{entry.path}"
                if f"{above}/{path}" not in left_out:
                    yield Entry(path, entry.parent, entry.name, entry.state)


@contextmanager
def open_source(release: Release, path: str) -> Iterator[Source | None]:
    """A declared file or directory, by a handle; None: it does not exist.

    Raises Failure or OSError.
    """
    with ExitStack() as handles:
        try:
            found = _enter(handles, release, path)
        except NOT_THERE:
            found = None
        yield found


def _enter(handles: ExitStack, release: Release, path: str) -> Source | None:
    parent, name = handles.enter_context(open_parent(release, path))
    state = parent.look(name)
    if state is None:
        return None
    if stat.S_ISDIR(state.st_mode):
        handle = handles.enter_context(parent.enter(name))
        return Source(handle, "", handle.path)
    if not stat.S_ISREG(state.st_mode):
        raise Failure(
            f"backup: {path} is neither a file nor a directory; a link is not followed",
            fix="declare the real path in x-gpuhost.backup",
        )
    return Source(parent, name, parent.path / name)


@contextmanager
def open_existing(release: Release, path: str) -> Iterator[Source]:
    with open_source(release, path) as source:
        if source is None:
            raise Failure(f"{path} was deleted while the backup was made")
        yield source
