"""Makes a backup: backups/YYYYMMDD-HHMMSS-REASON/ (0700).

It contains one file for each part, verified as soon as it is written, and a manifest.
"""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import retention, stored
from gpuhost.runner.data.backup_parts import Part, parts
from gpuhost.runner.data.stored import FREE_SPACE, Item, Manifest
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure, explained
from gpuhost.runner.lib.files import clear, make_directory
from gpuhost.runner.lib.sizes import format_size
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import current_id


def before_migration(release: Release) -> None:
    """The stage `backup`: make a backup if a migration follows. Raises Failure."""
    plan, log = release.plan, release.log
    if plan.migrate is None:
        log.write("no migration, so no backup")
        return
    if plan.backup is None:
        log.write("no backup is declared")
        return
    existing = {backup.name for backup in stored.complete(release.app)}
    if release.record.backup in existing:
        log.write(f"already made: {release.record.backup}")
        return
    name = backup(release, "release")
    release.remember(backup=name, nothing_to_back_up=not name)


def backup(release: Release, reason: str) -> str:
    """Back up what the release declares. Returns the backup's name; "" if there is no data yet.

    + reason: part of the name: letters and "-"

    Raises Failure, and leaves no incomplete backup.
    """
    with explained("backup"):
        return _backup(release, reason)


def _backup(release: Release, reason: str) -> str:
    declared = release.plan.backup
    assert declared is not None
    deadline = time.monotonic() + declared.limit_s
    to_save = list(parts(release, declared, deadline))
    if not to_save:
        release.log.write("nothing to back up yet")
        return ""
    _require_space(release.app, to_save)
    draft = stored.begin(release.app, reason)
    try:
        items = tuple(
            _save(part, draft, number, deadline) for number, part in enumerate(to_save, start=1)
        )
        _require_only(draft, items)
        manifest = Manifest(release.plan.app, current_id(release.app), reason, time.time(), items)
        home = stored.finish(release.app, draft, manifest)
    except BaseException:
        # The next backup deletes what is left.
        with suppress(OSError), abort.cleanup():
            clear(draft)
        raise
    total = format_size(sum(item.bytes for item in items))
    release.log.write(f"backup {home.name}: {len(items)} items, {total}, verified, in {home}")
    retention.prune(release.app, declared.keep, release.log)
    return home.name


def _require_only(draft: Path, items: tuple[Item, ...]) -> None:
    """Raises Failure if the directory has other files than the manifest will list."""
    names = sorted(path.name for path in draft.iterdir())
    if names != sorted(item.file for item in items):
        raise Failure(f"backup: unexpected files in {draft}: {', '.join(names)}")


def _save(part: Part, home: Path, number: int, deadline: float) -> Item:
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", part.name).strip("_.")[:60]
    return part.save(home / f"{number}-{plain}{part.ending}", deadline)


def _require_space(app: AppPaths, to_save: list[Part]) -> None:
    make_directory(app.backups, 0o700)
    need = sum(part.need for part in to_save) + stored.RESERVE
    free = shutil.disk_usage(app.backups).free
    if free < need:
        raise Failure(
            f"not enough disk space for a backup: {format_size(need)} needed, "
            f"{format_size(free)} free on the disk of {app.backups}",
            fix=FREE_SPACE,
        )
