"""Which backups stay: the newest by number, and those that are still needed."""

from __future__ import annotations

from pathlib import Path

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import stored
from gpuhost.runner.data.stored import Stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear, damaged_path, load_json, move_aside
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state.releases import current_id
from gpuhost.runner.state.transitions import BACKUP, RESTORE_DAMAGED, rule_of


def prune(app: AppPaths, keep: int, made: str, log: Log) -> None:
    """Delete old backups, except the one just made and those that an operation refers to.

    What is damaged or cannot be read is kept, and does not count as a backup.
    """
    backups = stored.complete(app)
    _warn(app, backups, log)
    try:
        needed = _referred_to(app)
    except Failure as failure:
        log.write(f"warning: no old backup is removed: {failure.said}; {failure.fix}")
        return
    for backup in _countable(backups, keep)[: -max(1, keep)]:
        if backup.name not in needed | {made}:
            _delete(backup, log)


def _countable(backups: list[Stored], keep: int) -> list[Stored]:
    """The oldest first.

    The order of backups from the future that have no number is not known: they wait, uncounted,
    until enough others are certainly newer.
    """
    whole = [backup for backup in backups if backup.is_whole]
    numbered = [backup for backup in whole if backup.manifest.sequence > 0]
    if len(numbered) >= keep:
        return whole
    unknown = {backup.name for backup in stored.from_the_future(whole)}
    return [
        backup for backup in whole if backup.manifest.sequence > 0 or backup.name not in unknown
    ]


def _warn(app: AppPaths, backups: list[Stored], log: Log) -> None:
    for home in stored.homes(app):
        if stored.read(home) is None:
            log.write(f"warning: backup {home.name}: its manifest cannot be read; it is kept")
    for backup in backups:
        if not backup.is_whole:
            log.write(f"warning: backup {backup.name} is damaged: it does not count, and is kept")
    if future := stored.from_the_future(backups):
        log.write(
            f"warning: backups from the future: {', '.join(backup.name for backup in future)}: the "
            "clock was ahead, or is behind now; their numbers give the order"
        )


def _delete(backup: Stored, log: Log) -> None:
    """A backup that is deleted in part must not look complete."""
    try:
        clear(backup.home.rename(stored.partial(backup.home)))
    except OSError as error:
        log.write(f"warning: old backup {backup.name} could not be removed: {error}")
        return
    log.write(f"old backup removed: {backup.name}")


def _referred_to(app: AppPaths) -> set[str]:
    """The backups of releases and of an operation in progress. Raises Failure."""
    files = (*app.releases.glob("*/result.json"), *app.releases.glob("*/record.json"))
    names = set()
    for path in (app.restoring, app.attempt, *files):
        try:
            value = load_json(path)
            # An operation has the name of the backup that it restores as its id.
            names |= {str(value.get("backup", "")), str(value.get("id", ""))}
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            said = f"{path} cannot be read, and may name a backup that is needed"
            raise Failure(said, fix=_fix(app, path)) from error
    return names


def _fix(app: AppPaths, path: Path) -> str:
    if path == app.restoring:
        aside = damaged_path(app.restore)
        return rule_of(RESTORE_DAMAGED, BACKUP).next.format(home=app.home, aside=aside)
    if path == app.attempt:
        return move_aside(path)
    first = "release the app again; then, " if path.parent.name == current_id(app) else ""
    return f"{first}if nobody will roll back to that release: rm -r {path.parent}"
