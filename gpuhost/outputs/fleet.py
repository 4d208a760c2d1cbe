"""The report of a fleet, for people: a summary of all hosts, then what needs somebody."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpuhost.checks.finding import Status
from gpuhost.domain.plain_text import (
    plain,
)
from gpuhost.fleet.report import FleetReport, HostStatus
from gpuhost.outputs.table import (
    in_words,
    table,
)

STYLES = {
    HostStatus.OK: "green",
    HostStatus.FAIL: "bold red",
    HostStatus.UNREACHABLE: "magenta",
    HostStatus.ERROR: "magenta",
}
NEEDS_SOMEBODY = (Status.FAIL, Status.UNKNOWN, Status.WARN)


def print_report(report: FleetReport, console: Console) -> None:
    """One host: all its findings. Several: a summary, and of each host what is not ok."""
    if len(report.hosts) > 1:
        console.print(_summary(report))
    for host in report.hosts:
        findings = [
            finding
            for finding in host.findings
            if len(report.hosts) == 1 or finding.status in NEEDS_SOMEBODY
        ]
        if findings:
            console.print()
            console.print(table(host.host, findings, title=in_words(host.findings)))
        if host.reason and not host.findings:
            console.print()
            print_reason(host.host, host.status, host.reason, host.fix, console)


def _summary(report: FleetReport) -> Table:
    grid = Table(title=_counts(report), title_justify="left")
    for heading in ("host", "status", "findings"):
        grid.add_column(heading, overflow="fold")
    for host in report.hosts:
        said = in_words(host.findings) if host.findings else plain(host.reason)
        grid.add_row(Text(plain(host.host)), status_in_colour(host.status), Text(said))
    return grid


def _counts(report: FleetReport) -> str:
    counts = ((report.count(status), status.value) for status in HostStatus)
    words = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{len(report.hosts)} hosts: {words}"


def status_in_colour(status: HostStatus) -> Text:
    return Text(status.value, style=STYLES[status])


def print_reason(host: str, status: HostStatus, reason: str, fix: str, console: Console) -> None:
    """Not in a table: a command that is folded to a column's width cannot be copied."""
    head = Text.assemble(plain(host), ": ", status_in_colour(status), ": ", plain(reason))
    console.print(head, soft_wrap=True)
    if fix:
        console.print(Text(f"-> {plain(fix)}", style="dim"), soft_wrap=True)
