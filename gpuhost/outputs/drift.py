"""What has drifted, for people: the hosts, the worst first, then each finding with its fix."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpuhost.checks.finding import Status
from gpuhost.domain.plain_text import (
    plain,
)
from gpuhost.drift.difference import Cause, Difference
from gpuhost.drift.report import DriftReport, HostDrift, Standing
from gpuhost.drift.since import Change, Since
from gpuhost.outputs.clock import minute

STYLES = {
    Standing.UNREACHABLE: "magenta",
    Standing.ERROR: "magenta",
    Standing.DRIFT: "bold red",
    Standing.PENDING: "yellow",
    Standing.OK: "green",
}
WORST_FIRST = tuple(Standing)


def print_drift(report: DriftReport, console: Console) -> None:
    """A table of hosts, then what needs somebody, host by host, each finding with its fix."""
    hosts = worst_first(report)
    console.print(_summary(report, hosts))
    for host in hosts:
        if host.told or host.fix:
            console.print()
            _details(host, console)


def print_since(changes: Since, console: Console) -> None:
    """What is new and what is gone, a line each."""
    if changes.at is None:
        console.print("No earlier run to compare with.\n")
        return
    console.print(f"Since {minute(changes.at)} UTC: {changes_in_words(changes)}")
    for word, style, found in (("new", "bold red", changes.new), ("gone", "green", changes.gone)):
        for one in found:
            line = Text.assemble("  ", (f"{word:4}", style), f" {change_in_words(one)}")
            console.print(line, soft_wrap=True)
    console.print()


def changes_in_words(changes: Since) -> str:
    """ "2 new, 1 gone"; "nothing new, nothing gone"."""
    return f"{len(changes.new) or 'nothing'} new, {len(changes.gone) or 'nothing'} gone"


def change_in_words(one: Change) -> str:
    """ "gpu1: swap.size (drift)"."""
    # "new gpu1: … (new)" would be two meanings of a word in one line.
    kind = "never applied" if one.kind == Cause.NEW.value else one.kind
    return plain(f"{one.host}: {one.id} ({kind})").replace("\n", "?")


def worst_first(report: DriftReport) -> list[HostDrift]:
    return sorted(report.hosts, key=lambda host: WORST_FIRST.index(host.standing))


def _summary(report: DriftReport, hosts: list[HostDrift]) -> Table:
    grid = Table(title=counts(report), title_justify="left")
    for heading in ("host", "standing", "applied (UTC)", "findings"):
        grid.add_column(heading, overflow="fold")
    for host in hosts:
        grid.add_row(
            Text(plain(host.host)),
            Text(host.standing.value, style=STYLES[host.standing]),
            minute(host.applied_at) or ("never" if host.differences else ""),
            Text(plain(host.reason or findings_in_words(host))),
        )
    return grid


def counts(report: DriftReport) -> str:
    """ "3 hosts: 1 drift, 2 ok", the worst first."""
    found = ((report.count(standing), standing.value) for standing in Standing)
    words = ", ".join(f"{count} {word}" for count, word in found if count)
    return f"{len(report.hosts)} hosts: {words}"


def findings_in_words(host: HostDrift) -> str:
    """ "2 drift, 1 pending, 1 warn, 1 accepted, 55 ok": what there is, the worst first."""
    kinds = [kind(one) for one in host.differences]
    order = ("unknown", "drift", "new", "pending", "warn", "accepted", "ok")
    found = ((kinds.count(word), word) for word in order)
    return ", ".join(f"{count} {word}" for count, word in found if count)


def kind(one: Difference) -> str:
    """One word for a finding, as the summary counts it."""
    return one.kind


def _details(host: HostDrift, console: Console) -> None:
    # Not in a table: a command that is folded to a column's width cannot be copied.
    head = Text.assemble(plain(host.host), ": ", (host.standing.value, STYLES[host.standing]))
    console.print(head.append(f": {plain(host.reason)}" if host.reason else ""), soft_wrap=True)
    if host.fix:
        console.print(Text(f"  -> {plain(host.fix)}", style="dim"), soft_wrap=True)
    for one in host.told:
        for line in _lines(one):
            console.print(line, soft_wrap=True)


def _lines(one: Difference) -> list[Text]:
    found = one.finding
    style = {Status.WARN: "yellow", Status.UNKNOWN: "magenta"}.get(found.status, "bold red")
    why = f" ({one.cause.value})" if one.cause else ""
    head = Text.assemble(
        "  ", (kind(one), "dim" if one.accepted else style), plain(f" {found.id}: {found.actual}")
    )
    under = [
        f"wanted: {found.expected}" if found.expected not in ("", found.actual) else "",
        found.evidence,
        _ignored(one),
        f"-> {found.fix}" if found.fix and not one.accepted else "",
    ]
    if found.status is Status.WARN or one.accepted:
        head.append(why)
    return [head, *(Text(f"    {plain(line)}", style="dim") for line in under if line)]


def _ignored(one: Difference) -> str:
    if one.accepted:
        return f"accepted until {one.accepted.until}: {one.accepted.reason}"
    if one.expired:
        return f"was accepted until {one.expired.until}: {one.expired.reason}"
    return ""
