"""An exchange of a SQLite database, and its undo, are cut at any change of a name."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.runner.data.exchange import Exchange
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from tests.runner.host_fixtures import App, app
from tests.runner.running import Cut

__all__ = ["app"]

ENDINGS = ("", "-wal", "-shm")
# More than an exchange has.
MOST = 16


class Changes:
    """Counts changes of names, and kills the runner before one. + links: 0: there are none"""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, links: bool) -> None:
        self.left = MOST
        for name in ("rename", "hard_link", "unlink"):
            self._count(monkeypatch, name, is_refused=name == "hard_link" and not links)

    def _count(self, monkeypatch: pytest.MonkeyPatch, name: str, *, is_refused: bool) -> None:
        real: Callable[..., None] = getattr(DirectoryHandle, name)

        def change(handle: DirectoryHandle, *words: object) -> None:
            self.left -= 1
            if self.left < 0:
                raise Cut
            if is_refused:
                raise OSError(errno.EPERM, os.strerror(errno.EPERM))
            real(handle, *words)

        monkeypatch.setattr(DirectoryHandle, name, change)


def an_exchange(app: App, number: str, *, has_previous: bool) -> tuple[Exchange, Path]:
    """With the directory of the database."""
    home = app.paths.shared / number
    staged = app.paths.home / "restore" / number / "app.db"
    for directory in (home, staged.parent):
        directory.mkdir(parents=True)
    for ending in ENDINGS if has_previous else ():
        (home / f"app.db{ending}").write_text(f"before{ending}")
    staged.write_text("restored")
    aside = app.paths.backups / number
    return Exchange(str(home / "app.db"), str(staged), str(aside), is_database=True), home


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
@pytest.mark.parametrize("has_previous", [True, False], ids=["a database before", "none before"])
def test_an_undo_leaves_what_was_there(
    app: App, monkeypatch: pytest.MonkeyPatch, has_previous: bool, links: bool
) -> None:
    changes = Changes(monkeypatch, links=links)
    for cut in range(MOST):
        for cut_of_undo in range(MOST):
            exchange, home = an_exchange(app, f"{cut}-{cut_of_undo}", has_previous=has_previous)
            changes.left = cut
            try:
                exchange.put_in_place(app.paths, lambda: None, is_begun=False)
                if not has_previous:
                    (home / "app.db-wal").write_text("of the restored one")
            except Cut:
                pass
            changes.left = cut_of_undo
            try:
                exchange.undo(app.paths)
            except Cut:
                changes.left = MOST
                exchange.undo(app.paths)
            found = {path.name: path.read_text() for path in home.iterdir()}
            before = {f"app.db{ending}": f"before{ending}" for ending in ENDINGS}
            assert found == (before if has_previous else {}), (cut, cut_of_undo)
            assert Path(exchange.staged).read_text() == "restored"
