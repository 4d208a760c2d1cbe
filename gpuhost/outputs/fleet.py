"""The report of a check as text: a summary of all hosts, then what is not ok on each."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpuhost.domain.plain_text import plain
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.report import FleetReport, HostReport
from gpuhost.outputs.table import print_findings, summarize

STYLES = {
    HostStatus.UNREACHABLE: "magenta",
    HostStatus.ERROR: "magenta",
    HostStatus.FAIL: "bold red",
    HostStatus.DRIFT: "bold red",
    HostStatus.PENDING: "yellow",
    HostStatus.OK: "green",
}


def print_report(report: FleetReport, console: Console, *, show_all: bool = False) -> None:
    """One host: its findings. Several: a summary, then the findings of each.

    + show_all: also what is ok or does not apply
    """
    several = len(report.hosts) > 1
    if several:
        console.print(_summary(report))
    for host in report.hosts:
        if several and not (show_all or _needs_attention(host)):
            continue
        if several:
            console.print()
        _print_host(host, console, show_all=show_all)


def _needs_attention(host: HostReport) -> bool:
    return not host.findings or any(finding.needs_attention for finding in host.findings)


def _print_host(host: HostReport, console: Console, *, show_all: bool) -> None:
    if host.findings:
        print_findings(host.host, host.findings, console, show_all=show_all)
    else:
        print_reason(host.host, host.status, host.reason, host.fix, console)


def _summary(report: FleetReport) -> Table:
    grid = Table(title=_counts(report), title_justify="left")
    for heading in ("host", "status", "findings"):
        grid.add_column(heading, overflow="fold")
    for host in report.hosts:
        findings = summarize(host.findings) if host.findings else plain(host.reason)
        grid.add_row(Text(plain(host.host)), styled_status(host.status), Text(findings))
    return grid


def _counts(report: FleetReport) -> str:
    """ "3 hosts: 1 unreachable, 1 fail, 1 ok", worst first."""
    counts = ((report.count(status), status.value) for status in HostStatus)
    parts = ", ".join(f"{count} {status}" for count, status in counts if count)
    return f"{len(report.hosts)} hosts: {parts}"


def styled_status(status: HostStatus) -> Text:
    return Text(status.value, style=STYLES[status])


def print_reason(host: str, status: HostStatus, reason: str, fix: str, console: Console) -> None:
    """Not as a table: a command that is folded in a column cannot be copied."""
    head = Text.assemble(plain(host), ": ", styled_status(status), ": ", plain(reason))
    console.print(head, soft_wrap=True)
    if fix:
        console.print(Text(f"-> {plain(fix)}", style="dim"), soft_wrap=True)
