"""What a restore leaves: data that is not in place any more, or not yet. It is set aside.

Nothing that the app may have written is deleted here: a person deletes backups/before-restore-TIME,
backups/undone-restore-TIME and restore.damaged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data.postgres import Server
from gpuhost.runner.data.restore_plan import refer_to
from gpuhost.runner.data.staging import limit, servers
from gpuhost.runner.data.stored import Stored
from gpuhost.runner.lib.failure import explained
from gpuhost.runner.lib.files import clear, set_aside
from gpuhost.runner.stages.restore_state import STAGING, State
from gpuhost.runner.state.release import Release

# What set_restore_aside makes, and a gpuhost before it.
ASIDE = ("restore.damaged*", "restore.unread*")


def end_restore(app: AppPaths, state: State) -> None:
    """End a restore whose data is whole. Raises Failure."""
    fix = "correct that, and try again; nothing is lost meanwhile"
    with explained("what a restore left cannot be set aside", fix):
        for exchange in state.exchanges:
            if state.step == STAGING:
                # A copy of the backup, or a part of it.
                exchange.clear_staged(app)
                continue
            # After an undo, the app may have written to what was in place.
            undone = exchange.set_staged_aside(app, state.undone_of(exchange))
            exchange.remove_empty_aside(app)
            refer_to(app, app.backups / state.undone, undone)
            refer_to(app, app.backups / state.aside, Path(exchange.aside))
        clear(app.restore)
    with suppress(OSError):
        # Unless something is in it.
        (app.backups / state.aside).rmdir()


def on_other_disks(app: AppPaths) -> Iterator[Path]:
    """What restores have set aside there, and nobody has deleted yet."""
    for link in sorted(app.backups.glob("*-restore-*/*")):
        if link.is_symlink() and os.path.lexists(link.readlink()):
            yield link.readlink()


def set_restore_aside(app: AppPaths) -> None:
    """Rename restore/, if its state cannot be read: it may hold the only copy of something."""
    if app.restore.exists():
        set_aside(app.restore)


def save_databases(
    release: Release, backup: Stored, place: Path, names: Iterable[str], ending: str = ""
) -> None:
    """Dump databases that are not in use into files, then drop them.

    + place: a directory
    + names: attributes of Server: "aside", "beside"
    + ending: of the file's name

    Raises Failure.
    """
    for item, server in servers(release, backup):
        for database in (getattr(server, name) for name in names):
            if server.has(database):
                _save(server, database, place / f"{item.service}.{database}{ending}.dump", release)


def _save(server: Server, database: str, target: Path, release: Release) -> None:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    target.unlink(missing_ok=True)
    server.dump(target, limit(release), database=database)
    server.drop(database)
