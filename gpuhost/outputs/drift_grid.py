"""A drift report as rows of cells: each host by each noun, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gpuhost.checks.finding import Status
from gpuhost.drift.difference import Difference
from gpuhost.drift.report import DriftReport, HostDrift, Standing
from gpuhost.drift.since import UNREAD
from gpuhost.outputs.drift import worst_first

# What a reader who sees no colours tells a cell by: one sign and one meaning for each word.
SIGNS = {
    "unreachable": ("⊘", "the host did not answer"),
    "error": ("?", "not everything could be read"),
    "unknown": ("?", "could not be read"),
    "drift": ("✗", "the host has changed since it was applied"),
    "new": ("+", "never applied to this host"),
    "pending": ("→", "the repository has changed since; the next deploy brings it"),
    "warn": ("!", "works, but somebody should know"),
    "accepted": ("~", "known and accepted by drift_ignore, until a day"),
    "ok": ("✓", "as applied, as declared"),
    "skip": ("–", "does not apply here"),
}
WORST_FIRST = tuple(SIGNS)
# The host's name and the finding's id, or UNREAD, of each.
New = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """What there is of one noun on one host.

    + kind: the worst word of SIGNS among its findings
    + count: findings of that kind
    + leads_to: the id of the worst finding, where there is more to read about it
    + new: something of it was not there in the run before
    """

    noun: str
    kind: str
    count: int
    leads_to: str = ""
    new: bool = False


@dataclass(frozen=True)
class Row:
    """One host.

    + anchor: its place on the page
    + new: the ids that were not there before; UNREAD: it could be read then
    """

    host: HostDrift
    anchor: str
    cells: tuple[Cell, ...]
    new: frozenset[str]

    @property
    def tells(self) -> bool:
        """Whether there is more to read about it than its row."""
        return bool(self.host.told or self.host.reason)


def rows(report: DriftReport, new: New) -> list[Row]:
    """Every host, the worst first."""
    columns = nouns(report)
    hosts = enumerate(worst_first(report), 1)
    return [_row(host, f"h{place}", columns, new) for place, host in hosts]


def nouns(report: DriftReport) -> list[str]:
    return sorted({one.finding.noun for host in report.hosts for one in host.differences})


def _row(host: HostDrift, anchor: str, columns: Sequence[str], new: New) -> Row:
    # What is good now may have been wrong before: only what is told can be new.
    tellable = {one.finding.id for one in host.told} if host.differences else {UNREAD}
    ids = frozenset(id for id in tellable if (host.host, id) in new)
    by_noun: dict[str, list[Difference]] = {noun: [] for noun in columns}
    for one in host.differences:
        by_noun[one.finding.noun].append(one)
    return Row(host, anchor, tuple(_cell(noun, by_noun[noun], ids) for noun in columns), ids)


def _cell(noun: str, differences: Sequence[Difference], new: frozenset[str]) -> Cell:
    if not differences:
        return Cell(noun, "skip", 0)
    kinds = Counter(sign(one) for one in differences)
    worst = min(kinds, key=WORST_FIRST.index)
    told = worst not in ("ok", "skip")
    first = min(one.finding.id for one in differences if sign(one) == worst)
    return Cell(
        noun,
        worst,
        kinds[worst],
        leads_to=first if told else "",
        new=any(one.finding.id in new for one in differences),
    )


def sign(one: Difference) -> str:
    """The word of SIGNS for a finding."""
    return "skip" if one.finding.status is Status.SKIP else one.kind


@dataclass(frozen=True)
class Spread:
    """A finding that is told of some hosts: how many of each kind, the worst first."""

    id: str
    kinds: tuple[tuple[str, int], ...]

    @property
    def hosts(self) -> int:
        return sum(count for _, count in self.kinds)


def spread(report: DriftReport) -> list[Spread]:
    """What is told of more than one host, the worst and most frequent first."""
    kinds: dict[str, Counter[str]] = {}
    for host in report.hosts:
        for one in host.told:
            kinds.setdefault(one.finding.id, Counter())[sign(one)] += 1
    found = [
        Spread(id, tuple(sorted(counts.items(), key=lambda one: WORST_FIRST.index(one[0]))))
        for id, counts in kinds.items()
    ]
    several = [one for one in found if one.hosts > 1]
    return sorted(several, key=lambda one: (WORST_FIRST.index(one.kinds[0][0]), -one.hosts, one.id))


def totals(report: DriftReport) -> str:
    """ "2 drift, 1 warn, 590 ok": the findings of all hosts, the worst first."""
    kinds = Counter(sign(one) for host in report.hosts for one in host.differences)
    return ", ".join(f"{kinds[word]} {word}" for word in WORST_FIRST if kinds[word])


def headline(report: DriftReport) -> str:
    """The page in one sentence, for whoever has time for one."""
    total = len(report.hosts)
    needy = sum(report.count(one) for one in (Standing.UNREACHABLE, Standing.ERROR, Standing.DRIFT))
    pending = report.count(Standing.PENDING)
    if not total:
        return "No host was asked"
    if needy:
        return f"{_of(needy, total)} {'needs' if needy == 1 else 'need'} somebody"
    if pending:
        awaits = "awaits" if pending == 1 else "await"
        return f"Nothing has drifted; {_of(pending, total).lower()} {awaits} a deploy"
    return "The host is as applied" if total == 1 else f"All {total} hosts are as applied"


def _of(count: int, total: int) -> str:
    return "The host" if total == 1 else f"{count} of {total} hosts"
