"""Which backups stay: the newest by number, and those that are still needed."""

from __future__ import annotations

from pathlib import Path

from gpuhost.runner.contract import NOT_THERE, AppPaths
from gpuhost.runner.data import stored
from gpuhost.runner.data.stored import Item, Stored
from gpuhost.runner.lib.failure import Failure, explained
from gpuhost.runner.lib.files import clear, load_json, move_aside
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state.releases import deletion_advice
from gpuhost.runner.state.transitions import BACKUP, RESTORE_DAMAGED, next_step, rule_of


def prune(app: AppPaths, keep: int, log: Log) -> None:
    """Delete old backups, except the newest, those that an operation refers to, and the last
    one with data of a part that is empty now.

    What is damaged or cannot be read is kept, and does not count as a backup.
    """
    found = {home: stored.read(home) for home in stored.homes(app)}
    backups = stored.in_order(found.values())
    _warn([home for home, backup in found.items() if backup is None], backups, log)
    try:
        # What cannot be read now may be whole: nothing is deleted for it.
        with explained("what may name a needed backup cannot be read"):
            needed = _referred_to(app)
    except Failure as failure:
        log.write("warning: no old backup is removed: " + "\n".join(failure.lines))
        return
    needed |= _last_with_data(backups, log)
    for backup in _countable(backups, keep)[: -max(1, keep)]:
        if backup.name not in needed:
            _delete(backup, log)


def _last_with_data(backups: list[Stored], log: Log) -> set[str]:
    """The newest backup of each part that is empty now: its disk may not be mounted.

    + backups: the oldest first
    """
    newest_first = [backup for backup in reversed(backups) if backup.is_whole]
    kept = set()
    for now in newest_first[:1]:
        for empty in (item for item in now.manifest.items if not item.unpacked):
            last = next((one.name for one in newest_first if _has_data(one, empty)), None)
            if last:
                log.write(
                    f"warning: {empty.name} is empty: is its disk mounted? The last backup with "
                    f"data of it is kept: {last}"
                )
                kept.add(last)
    return kept


def _has_data(backup: Stored, part: Item) -> bool:
    return any(
        item.unpacked and (item.kind, item.name) == (part.kind, part.name)
        for item in backup.manifest.items
    )


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


def _warn(unread: list[Path], backups: list[Stored], log: Log) -> None:
    for home in unread:
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
    """The backups of releases and of an operation in progress. Raises Failure or OSError."""
    files = (*app.releases.glob("*/result.json"), *app.releases.glob("*/record.json"))
    names = set()
    for path in (app.restoring, app.attempt, *files):
        try:
            value = load_json(path)
            # An operation has the name of the backup that it restores as its id.
            names |= {str(value.get("backup", "")), str(value.get("id", ""))}
        except NOT_THERE:
            continue
        except ValueError as error:
            said = f"{path} is damaged, and may name a backup that is needed"
            raise Failure(said, fix=_fix(app, path)) from error
    return names


def _fix(app: AppPaths, path: Path) -> str:
    if path == app.restoring:
        return next_step(app, rule_of(RESTORE_DAMAGED, BACKUP))
    if path == app.attempt:
        return move_aside(path)
    return deletion_advice(app, path.parent)
