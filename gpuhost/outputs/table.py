"""Findings as a table, for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gpuhost.checks.finding import Finding, Status

STYLES = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.FAIL: "bold red",
    Status.UNKNOWN: "magenta",
    Status.SKIP: "dim",
}
# Worst first: what needs a person stands on top.
ORDER = (Status.FAIL, Status.UNKNOWN, Status.WARN, Status.OK, Status.SKIP)


def table(host: str, findings: Sequence[Finding]) -> Table:
    """One host's findings, worst first; a finding's fix stands under it."""
    grid = Table(title=f"{escape(host)}: {in_words(findings)}", title_justify="left", expand=False)
    for heading in ("", "check", "found", "expected"):
        grid.add_column(heading, overflow="fold")
    for finding in sorted(findings, key=lambda f: (ORDER.index(f.status), f.id)):
        style = STYLES[finding.status]
        found = escape(finding.actual)
        if finding.status in (Status.FAIL, Status.WARN, Status.UNKNOWN):
            found += _under(finding.evidence) + _under(finding.fix, "-> ")
        expected = "" if finding.expected == finding.actual else escape(finding.expected)
        grid.add_row(f"[{style}]{finding.status.value}[/]", finding.id, found, expected)
    return grid


def _under(text: str, lead: str = "") -> str:
    return f"\n[dim]{lead}{escape(text)}[/]" if text else ""


def in_words(findings: Sequence[Finding]) -> str:
    """ "3 fail, 1 unknown, 20 ok": what there is of each status, worst first."""
    counts = {status: sum(f.status is status for f in findings) for status in ORDER}
    return ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)


def show(host: str, findings: Sequence[Finding], stream: TextIO | None = None) -> None:
    """Print a host's table; on stderr unless told otherwise, because stdout may carry JSON."""
    console = Console(file=stream or sys.stderr, highlight=False)
    console.print(table(host, findings))
