"""What was found, on the terminal and as docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from bench.result import Goal, Result, Table, known

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
HEAD = """# Performance

What `make bench` measured; no test depends on it. Written by `python -m bench`, which runs all
parts or those that are named (`python -m bench loopback`). The contenders of a table are measured
in turn, round after round, on the same hosts, and a number is the median of its rounds. CPU is that
of the machine which runs the command, its children included. A goal is what was wished for before
anything was measured, unless a note says otherwise.
"""
GOAL_HEADINGS = ("goal", "measured", "wanted", "")


def show(result: Result) -> None:
    """On the terminal."""
    console = Console(highlight=False)
    console.print(f"\n[bold]{result.title}[/]")
    for table in result.tables:
        console.print(_rich(table))
    if result.goals:
        console.print(_rich(_goals(result.goals)))


def write(parts: tuple[str, ...]) -> None:
    """The page, from what is known of all parts."""
    text = "\n".join([HEAD, *(line for result in known(parts) for line in _section(result))])
    PAGE.write_text(text.rstrip() + "\n", encoding="utf-8")


def _section(result: Result) -> Iterator[str]:
    yield f"## {result.title}\n"
    yield f"{result.on}, {result.machine}.\n"
    for note in result.notes:
        yield f"{note}\n"
    for table in (*result.tables, *([_goals(result.goals)] if result.goals else [])):
        yield from _markdown(table)
        yield ""


def _goals(goals: tuple[Goal, ...]) -> Table:
    return Table(GOAL_HEADINGS, tuple((one.what, *one.words) for one in goals))


def _markdown(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(table.headings)} |"
    yield f"|{'---|' + '--:|' * (len(table.headings) - 1)}"
    yield from (f"| {' | '.join(row)} |" for row in table.rows)


def _rich(table: Table) -> RichTable:
    grid = RichTable()
    for place, heading in enumerate(table.headings):
        grid.add_column(heading, justify="right" if place else "left")
    for row in table.rows:
        grid.add_row(*row)
    return grid
