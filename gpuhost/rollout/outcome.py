"""The report of a release that has ended: what happened, what runs, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.release.source import short_revision
from gpuhost.rollout.progress import duration, readable
from gpuhost.runner.contract import (
    FAILED,
    RESTORE,
    RESTORE_FAILED,
    RESTORED,
    UNDONE,
    VERIFIED,
    Result,
)

BANNER = "!" * 78


@dataclass(frozen=True)
class ReportLine:
    """A line of a report. colour: of the terminal; None for plain."""

    text: str
    colour: str | None = None
    bold: bool = False


def report(result: Result, *, host: str, home: str) -> Iterator[ReportLine]:
    """Lines for the terminal, worst first.

    + host: its name
    + home: the app's directory there
    """
    if result.state == VERIFIED:
        yield ReportLine(_verified(result), "green")
        yield from _downtime(result)
        return
    yield _failed(result)
    yield from _quoted("", result.output)
    yield from _quoted("the app's last log lines:", result.logs)
    yield from _running_now(result, host)
    yield from _downtime(result)
    if result.migrated:
        yield ReportLine(_migrated(result, home), "yellow")
    if result.fix:
        yield ReportLine(f"-> {readable(result.fix)}")
    # A restore is named after its backup.
    place = "backups" if result.kind == RESTORE else "releases"
    yield ReportLine(f"full log: {home}/{place}/{result.id}/log on {host}")


def _verified(result: Result) -> str:
    # By the host's clock only if nothing better is known.
    took_s = result.ended - result.started if result.took_s is None else result.took_s
    took = duration(took_s)
    revision = f" (revision {short_revision(result.revision)})" if result.revision else ""
    return f"{result.kind} {result.id} verified after {took}{revision}"


def _failed(result: Result) -> ReportLine:
    where = f" in stage {result.stage}" if result.stage else ""
    if result.aborted_by:
        by = readable(result.aborted_by)
        return ReportLine(f"{result.kind} {result.id} aborted by {by}{where}", "yellow", True)
    text = f"{result.kind} {result.id} failed{where}: {readable(result.said)}"
    return ReportLine(text, "red", True)


def _running_now(result: Result, host: str) -> Iterator[ReportLine]:
    """What runs on the host after a failure."""
    if result.kind == RESTORE and result.state in (RESTORED, RESTORE_FAILED):
        yield from _data_restore(result, host)
    elif result.state == RESTORED:
        yield ReportLine(f"rolled back to {result.restored}, verified", "yellow")
    elif result.state == FAILED:
        # Without a stage it did not begin: what was left unfinished may have stopped the app.
        runs = "what ran before it still runs" if result.stage else "gpuhost status says what runs"
        yield ReportLine(f"the {result.kind} itself changed nothing: {runs}", "yellow")
    elif result.state == UNDONE and (result.replaced or result.untouched):
        yield from _manual_deployment(result, host)
    elif result.state == UNDONE:
        yield ReportLine("no previous release: this one is stopped, its data is kept", "yellow")
    elif result.state == RESTORE_FAILED:
        yield from _banner(
            f"{result.app} IS DOWN ON {host}: THE PREVIOUS RELEASE COULD NOT BE RESTORED",
            *([readable(result.restore_said)] if result.restore_said else []),
            "It will not start by itself. Fix the cause, then release or roll back:",
            f"pyinfra … deploys/rollback.py --data app={result.app}",
        )


def _manual_deployment(result: Result, host: str) -> Iterator[ReportLine]:
    """The state of a manual deployment that the first release should replace."""
    if result.untouched:
        names = ", ".join(result.untouched)
        yield ReportLine(
            f"the manual deployment still runs: {names}; the release is stopped", "yellow"
        )
    if result.replaced:
        yield from _banner(
            f"THE MANUAL DEPLOYMENT OF {result.app} ON {host} WAS REPLACED BY THE RELEASE",
            *map(readable, result.replaced),
            "Its images, volumes and files are kept. Start it again from these image IDs:",
            "a tag may point to another image meanwhile (docker tag ID TAG).",
        )


def _data_restore(result: Result, host: str) -> Iterator[ReportLine]:
    """After a restore of data that failed."""
    if result.state == RESTORED:
        yield ReportLine("the previous data is restored, and the app is verified with it", "yellow")
        return
    yield from _banner(
        f"{result.app} MAY BE DOWN ON {host}: THE PREVIOUS DATA OR THE APP COULD NOT BE RESTORED",
        *([readable(result.restore_said)] if result.restore_said else []),
        "No data is lost. Fix the cause, then restore the same backup again to finish or undo:",
        f"pyinfra … deploys/restore.py --data app={result.app} --data backup={result.id}",
    )


def _banner(*lines: str) -> Iterator[ReportLine]:
    for line in (BANNER, *lines, BANNER):
        yield ReportLine(line, "red", True)


def _downtime(result: Result) -> Iterator[ReportLine]:
    if result.gap_s:
        yield ReportLine(f"the app did not answer for {result.gap_s:.1f} s")


def _migrated(result: Result, home: str) -> str:
    backup = (
        f"the backup made before it: {home}/backups/{result.backup}"
        if result.backup
        else "it has no backup"
    )
    return (
        "the migration had started: its changes to the data stay, also if the previous release "
        f"runs again; {backup}"
    )


def _quoted(heading: str, lines: tuple[str, ...]) -> Iterator[ReportLine]:
    if heading and lines:
        yield ReportLine(heading)
    for line in lines:
        yield ReportLine(f"  | {readable(line)}")
