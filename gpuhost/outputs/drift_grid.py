"""A drift report as a grid: a row for each host, worst first, a cell for each noun."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gpuhost.checks.finding import Status
from gpuhost.drift.difference import KINDS, Difference
from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.drift.since import UNREAD
from gpuhost.fleet.host_status import HostStatus

# A sign and a meaning for each word, for readers who cannot distinguish colours.
SIGNS = {
    "unreachable": ("⊘", "no connection or no login"),
    "error": ("?", "its settings are invalid, or part of it could not be read"),
    "unknown": ("?", "could not be read"),
    "drift": ("✗", "the host has changed since it was provisioned"),
    "never applied": ("+", "was never as declared on this host"),
    "pending": ("→", "the repository has changed; the next deploy applies it"),
    "warn": ("!", "works, but needs attention"),
    "accepted": ("~", "accepted by drift_ignore until a date"),
    "ok": ("✓", "as applied and as declared"),
    "skip": ("–", "does not apply"),
}
CELL_KINDS = (*KINDS, "skip")
# Host and finding id (or UNREAD) of each new finding.
New = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """The findings of one noun on one host.

    + kind: the worst of CELL_KINDS among them
    + count: findings of that kind
    + link: the id of the worst finding, if the page has more about it
    + new: whether one of them is new since the previous run
    """

    noun: str
    kind: str
    count: int
    link: str = ""
    new: bool = False


@dataclass(frozen=True)
class Row:
    """One host.

    + anchor: its id on the page
    + new: ids of findings that are new; UNREAD: the host could be read before
    """

    host: HostDrift
    anchor: str
    cells: tuple[Cell, ...]
    new: frozenset[str]

    @property
    def has_details(self) -> bool:
        """Whether the page has more about it than its row."""
        return bool(self.host.reported or self.host.reason)


def rows(report: DriftReport, new: New) -> list[Row]:
    """Every host, worst first."""
    columns = nouns(report)
    hosts = enumerate(report.worst_first, 1)
    return [_row(host, f"h{number}", columns, new) for number, host in hosts]


def nouns(report: DriftReport) -> list[str]:
    return sorted({one.finding.noun for host in report.hosts for one in host.differences})


def _row(host: HostDrift, anchor: str, columns: Sequence[str], new: New) -> Row:
    # `new` is about reported findings only; a finding that is ok is not new.
    reported = {one.finding.id for one in host.reported} if host.differences else {UNREAD}
    ids = frozenset(id for id in reported if (host.host, id) in new)
    by_noun: dict[str, list[Difference]] = {noun: [] for noun in columns}
    for one in host.differences:
        by_noun[one.finding.noun].append(one)
    return Row(host, anchor, tuple(_cell(noun, by_noun[noun], ids) for noun in columns), ids)


def _cell(noun: str, differences: Sequence[Difference], new: frozenset[str]) -> Cell:
    if not differences:
        return Cell(noun, "skip", 0)
    kinds = Counter(cell_kind(one) for one in differences)
    worst = min(kinds, key=CELL_KINDS.index)
    first = min(one.finding.id for one in differences if cell_kind(one) == worst)
    return Cell(
        noun,
        worst,
        kinds[worst],
        link="" if worst in ("ok", "skip") else first,
        new=any(one.finding.id in new for one in differences),
    )


def cell_kind(one: Difference) -> str:
    """One of CELL_KINDS."""
    return "skip" if one.finding.status is Status.SKIP else one.kind


@dataclass(frozen=True)
class Spread:
    """A finding that several hosts have: how many of each kind, worst first."""

    id: str
    kinds: tuple[tuple[str, int], ...]

    @property
    def hosts(self) -> int:
        return sum(count for _, count in self.kinds)


def spread(report: DriftReport) -> list[Spread]:
    """The findings that more than one host has, worst and most frequent first."""
    kinds: dict[str, Counter[str]] = {}
    for host in report.hosts:
        for one in host.reported:
            kinds.setdefault(one.finding.id, Counter())[cell_kind(one)] += 1
    spreads = [
        Spread(id, tuple(sorted(counts.items(), key=lambda item: CELL_KINDS.index(item[0]))))
        for id, counts in kinds.items()
    ]
    several = [one for one in spreads if one.hosts > 1]
    return sorted(several, key=lambda one: (CELL_KINDS.index(one.kinds[0][0]), -one.hosts, one.id))


def totals(report: DriftReport) -> str:
    """ "2 drift, 1 warn, 590 ok": the findings of all hosts, worst first."""
    kinds = Counter(cell_kind(one) for host in report.hosts for one in host.differences)
    return ", ".join(f"{kinds[word]} {word}" for word in CELL_KINDS if kinds[word])


def headline(report: DriftReport) -> str:
    """The report in one sentence."""
    total = len(report.hosts)
    attention = report.need_attention
    pending = report.count(HostStatus.PENDING)
    if not total:
        return "No host was checked"
    if attention:
        return f"{_of(attention, total)} {'needs' if attention == 1 else 'need'} attention"
    if pending:
        needs = "needs" if pending == 1 else "need"
        return f"Nothing has drifted; {_of(pending, total).lower()} {needs} a deploy"
    return "The host is as applied" if total == 1 else f"All {total} hosts are as applied"


def _of(count: int, total: int) -> str:
    return "The host" if total == 1 else f"{count} of {total} hosts"
