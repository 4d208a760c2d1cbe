"""How a release ended, in words: what a person has to know, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.release.progress import duration, readable
from gpuhost.release.source import short
from gpuhost.runner.contract import FAILED, RESTORE_FAILED, RESTORED, UNDONE, VERIFIED, Result

LOUD = "!" * 78
RESTORE = "restore"


@dataclass(frozen=True)
class Said:
    """A line of a report. colour: pyinfra's, None for plain."""

    text: str
    colour: str | None = None
    bold: bool = False


def report(result: Result, *, host: str, home: str) -> Iterator[Said]:
    """Lines for the terminal, worst first.

    + host: its name
    + home: the app's directory there
    """
    if result.state == VERIFIED:
        yield Said(_verified(result), "green")
        yield from _gap(result)
        return
    where = f" in stage {result.stage}" if result.stage else ""
    yield Said(f"{result.kind} {result.id} failed{where}: {readable(result.said)}", "red", True)
    yield from _quoted("", result.output)
    yield from _quoted("the app's last log lines:", result.logs)
    yield from _now(result, host)
    yield from _gap(result)
    if result.migrated:
        yield Said(_migrated(result, home), "yellow")
    if result.fix:
        yield Said(f"-> {readable(result.fix)}")
    # A restore is of the running release, and has the name of its backup.
    place = "backups" if result.kind == RESTORE else "releases"
    yield Said(f"the whole log: {home}/{place}/{result.id}/log on {host}")


def _verified(result: Result) -> str:
    took = duration(result.ended - result.started)
    revision = f" (revision {short(result.revision)})" if result.revision else ""
    return f"{result.kind} {result.id} verified after {took}{revision}"


def _now(result: Result, host: str) -> Iterator[Said]:
    """What runs on the host after a failure."""
    if result.kind == RESTORE and result.state in (RESTORED, RESTORE_FAILED):
        yield from _data_now(result, host)
    elif result.state == RESTORED:
        yield Said(f"restored: {result.restored} runs again, and is verified", "yellow")
    elif result.state == FAILED:
        yield Said("nothing was changed: what ran goes on running", "yellow")
    elif result.state == UNDONE and (result.replaced or result.untouched):
        yield from _started_by_hand(result, host)
    elif result.state == UNDONE:
        yield Said("there was no release before: it is stopped, its data stays", "yellow")
    elif result.state == RESTORE_FAILED:
        yield from _loud(
            f"{result.app} IS DOWN ON {host}: THE RELEASE BEFORE DID NOT COME BACK EITHER",
            *([readable(result.restore_said)] if result.restore_said else []),
            "Nothing will bring it back by itself. Mend the cause, then release or roll back:",
            f"pyinfra … deploys/rollback.py --data app={result.app}",
        )


def _started_by_hand(result: Result, host: str) -> Iterator[Said]:
    """What became of a deployment that the first release was to take over."""
    if result.untouched:
        names = ", ".join(result.untouched)
        yield Said(
            f"what was started by hand is as it was: {names}; the release is stopped", "yellow"
        )
    if result.replaced:
        yield from _loud(
            f"{result.app} ON {host}, AS STARTED BY HAND, IS GONE: THE RELEASE TOOK ITS PLACE",
            *map(readable, result.replaced),
            "Its images, its volumes and its files are still there. Start it again as it was, from",
            "these very images: a tag may be another's by now (docker tag ID TAG).",
        )


def _data_now(result: Result, host: str) -> Iterator[Said]:
    """After a restore of data that did not end well."""
    if result.state == RESTORED:
        yield Said("the data of before is back, and the app is verified with it", "yellow")
        return
    yield from _loud(
        f"{result.app} MAY BE DOWN ON {host}: THE DATA OF BEFORE, OR THE APP WITH IT, IS NOT BACK",
        *([readable(result.restore_said)] if result.restore_said else []),
        "No data is lost. Mend the cause, then restore the same backup again, to finish or undo:",
        f"pyinfra … deploys/restore.py --data app={result.app} --data backup={result.id}",
    )


def _loud(*lines: str) -> Iterator[Said]:
    for line in (LOUD, *lines, LOUD):
        yield Said(line, "red", True)


def _gap(result: Result) -> Iterator[Said]:
    """Releases replace in place."""
    if result.gap_s:
        yield Said(f"the app did not answer for {result.gap_s:.1f} s")


def _migrated(result: Result, home: str) -> str:
    backup = (
        f"the backup from before it: {home}/backups/{result.backup}"
        if result.backup
        else "there is no backup"
    )
    return (
        "the migration had begun, and what it did to the data stays, also where the release before "
        f"runs again; {backup}"
    )


def _quoted(heading: str, lines: tuple[str, ...]) -> Iterator[Said]:
    if heading and lines:
        yield Said(heading)
    for line in lines:
        yield Said(f"  | {readable(line)}")
