"""A drift report as text: the hosts, worst first, then each finding with its fix."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpuhost.checks.finding import Status
from gpuhost.domain.plain_text import plain
from gpuhost.drift.difference import KINDS, Difference
from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.drift.since import Change, Changes
from gpuhost.fleet.host_status import HostStatus
from gpuhost.outputs.clock import minute
from gpuhost.outputs.fleet import STYLES


def print_drift(report: DriftReport, console: Console) -> None:
    """A table of hosts, then, host by host, what is not ok, each finding with its fix."""
    console.print(_summary(report))
    for host in report.worst_first:
        if host.reported or host.fix:
            console.print()
            _print_host(host, console)


def print_changes(changes: Changes, console: Console) -> None:
    """What is new and what is gone, a line each."""
    if changes.at is None:
        console.print("No earlier run to compare with.\n")
        return
    console.print(f"Since {minute(changes.at)} UTC: {summarize_changes(changes)}")
    for word, style, part in (("new", "bold red", changes.new), ("gone", "green", changes.gone)):
        for change in part:
            line = Text.assemble("  ", (f"{word:4}", style), f" {describe_change(change)}")
            console.print(line, soft_wrap=True)
    console.print()


def summarize_changes(changes: Changes) -> str:
    """ "2 new, 1 gone"; "nothing new, nothing gone"."""
    return f"{len(changes.new) or 'nothing'} new, {len(changes.gone) or 'nothing'} gone"


def describe_change(change: Change) -> str:
    """ "gpu1: swap.size (drift)"."""
    return plain(f"{change.host}: {change.id} ({change.kind})").replace("\n", "?")


def _summary(report: DriftReport) -> Table:
    grid = Table(title=summarize_hosts(report), title_justify="left")
    for heading in ("host", "status", "applied (UTC)", "findings"):
        grid.add_column(heading, overflow="fold")
    for host in report.worst_first:
        grid.add_row(
            Text(plain(host.host)),
            Text(host.status.value, style=STYLES[host.status]),
            minute(host.applied_at) or ("never" if host.differences else ""),
            Text(plain(host.reason or summarize_findings(host))),
        )
    return grid


def summarize_hosts(report: DriftReport) -> str:
    """ "3 hosts: 1 drift, 2 ok", worst first."""
    counts = ((report.count(status), status.value) for status in HostStatus)
    parts = ", ".join(f"{count} {status}" for count, status in counts if count)
    return f"{len(report.hosts)} host{'s' if len(report.hosts) != 1 else ''}: {parts}"


def summarize_findings(host: HostDrift) -> str:
    """ "2 drift, 1 pending, 1 warn, 1 accepted, 55 ok", worst first."""
    kinds = [one.kind for one in host.differences]
    counts = ((kinds.count(kind), kind) for kind in KINDS)
    return ", ".join(f"{count} {kind}" for count, kind in counts if count)


def _print_host(host: HostDrift, console: Console) -> None:
    # Not as a table: a command that is folded in a column cannot be copied.
    head = Text.assemble(plain(host.host), ": ", (host.status.value, STYLES[host.status]))
    console.print(head.append(f": {plain(host.reason)}" if host.reason else ""), soft_wrap=True)
    if host.fix:
        console.print(Text(f"  -> {plain(host.fix)}", style="dim"), soft_wrap=True)
    for one in host.reported:
        for line in _lines(one):
            console.print(line, soft_wrap=True)


def _lines(one: Difference) -> list[Text]:
    finding = one.finding
    style = {Status.WARN: "yellow", Status.UNKNOWN: "magenta"}.get(finding.status, "bold red")
    head = Text.assemble(
        "  ",
        (one.kind, "dim" if one.accepted else style),
        plain(f" {finding.id}: {finding.actual}"),
    )
    if one.cause and (finding.status is Status.WARN or one.accepted):
        head.append(f" ({one.cause.value})")
    details = [
        f"expected: {finding.expected}" if finding.expected not in ("", finding.actual) else "",
        finding.evidence,
        _acceptance(one),
        f"-> {finding.fix}" if finding.fix and not one.accepted else "",
    ]
    return [head, *(Text(f"    {plain(line)}", style="dim") for line in details if line)]


def _acceptance(one: Difference) -> str:
    if one.accepted:
        return f"accepted until {one.accepted.until}: {one.accepted.reason}"
    if one.expired:
        return f"was accepted until {one.expired.until}: {one.expired.reason}"
    return ""
