"""Findings as a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpuhost.checks.finding import WORST_FIRST, Finding, Status
from gpuhost.domain.plain_text import plain

STYLES = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.FAIL: "bold red",
    Status.UNKNOWN: "magenta",
    Status.SKIP: "dim",
}
# The width in a pipe or a log file.
WIDTH = 120


def print_findings(
    host: str, findings: Sequence[Finding], console: Console, *, show_all: bool = False
) -> None:
    """One host: the counts, then what is not ok, worst first.

    + show_all: also what is ok or does not apply
    """
    shown = [one for one in findings if show_all or one.needs_attention]
    style = "table.title" if shown else ""
    # Not the table's title, which is folded to the width of the table.
    console.print(Text(f"{plain(host)}: {summarize(findings)}", style), soft_wrap=True)
    if shown:
        console.print(table(shown))


def table(findings: Sequence[Finding]) -> Table:
    """Findings of one host, worst first, each with its fix."""
    grid = Table(expand=False)
    for heading in ("", "check", "actual"):
        grid.add_column(heading, overflow="fold")
    for finding in sorted(findings, key=lambda f: (WORST_FIRST.index(f.status), f.id)):
        status = Text(finding.status.value, STYLES[finding.status])
        grid.add_row(status, Text(plain(finding.id)), _details(finding))
    return grid


def _details(finding: Finding) -> Text:
    """The actual value; under it the expected one, the evidence and the fix."""
    details = Text(plain(finding.actual))
    if not finding.needs_attention:
        return details
    expected = "" if finding.expected == finding.actual else finding.expected
    for lead, text in (("expected: ", expected), ("", finding.evidence), ("-> ", finding.fix)):
        if text:
            details.append(f"\n{lead}{plain(text)}", "dim")
    return details


def summarize(findings: Sequence[Finding]) -> str:
    """The counts, worst first: "3 fail, 1 unknown, 20 ok"."""
    counts = {status: sum(f.status is status for f in findings) for status in WORST_FIRST}
    return ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Without this, rich ends the process."""
        raise BrokenPipeError


def console(stream: TextIO) -> Console:
    """A console on a stream; in a pipe, wide enough to leave most findings unfolded.

    Markup is off: names of hosts and apps may look like markup.
    """
    made = _Console(file=stream, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH
    return made
