"""Findings as a table, for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpuhost.checks.finding import Finding, Status
from gpuhost.domain.plain_text import plain

STYLES = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.FAIL: "bold red",
    Status.UNKNOWN: "magenta",
    Status.SKIP: "dim",
}
# Worst first: what needs a person stands on top.
ORDER = (Status.FAIL, Status.UNKNOWN, Status.WARN, Status.OK, Status.SKIP)


# Where a pipe or a log file has no width of its own.
WIDTH = 120


def table(host: str, findings: Sequence[Finding], title: str = "") -> Table:
    """One host's findings, worst first; a finding's fix stands under it.

    + title: what stands behind the host's name; empty: how many findings there are of each status
    """
    heading = f"{plain(host)}: {title or in_words(findings)}"
    grid = Table(title=Text(heading, "table.title"), title_justify="left", expand=False)
    for heading in ("", "check", "found"):
        grid.add_column(heading, overflow="fold")
    for finding in sorted(findings, key=lambda f: (ORDER.index(f.status), f.id)):
        status = Text(finding.status.value, STYLES[finding.status])
        grid.add_row(status, Text(plain(finding.id)), _found(finding))
    return grid


def _found(finding: Finding) -> Text:
    """What is there, and under it what was wanted, what shows it, and what to do."""
    found = Text(plain(finding.actual))
    if finding.status in (Status.OK, Status.SKIP):
        return found
    wanted = "" if finding.expected == finding.actual else finding.expected
    for lead, text in (("wanted: ", wanted), ("", finding.evidence), ("-> ", finding.fix)):
        if text:
            found.append(f"\n{lead}{plain(text)}", "dim")
    return found


def in_words(findings: Sequence[Finding]) -> str:
    """ "3 fail, 1 unknown, 20 ok": what there is of each status, worst first."""
    counts = {status: sum(f.status is status for f in findings) for status in ORDER}
    return ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)


def show(host: str, findings: Sequence[Finding], stream: TextIO | None = None) -> None:
    """Print a host's table; on stderr unless told otherwise, because stdout may carry JSON."""
    console(stream or sys.stderr).print(table(host, findings))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """By itself rich ends the process here."""
        raise BrokenPipeError


def console(stream: TextIO) -> Console:
    """A console on a stream; a pipe is given a width that leaves most findings unfolded.

    What is printed on it is no markup: it has words of hosts and inventories in it.
    """
    made = _Console(file=stream, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH
    return made
