"""The results, on the terminal and as docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from bench.result import Goal, Result, Table, known

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
HEAD = """# Performance

The results of `make bench`; no test depends on them. `python -m bench` writes this page: it runs
all parts, or only the named ones (`python -m bench loopback`). The contenders of a table run in
turn, round after round, on the same hosts; a number is the median of its rounds. CPU is the CPU
time on the machine that runs the command, child processes included. A goal was set before anything
was measured, unless a note says otherwise.
"""
GOAL_HEADINGS = ("", "measured", "goal", "")


def show(result: Result) -> None:
    """On the terminal."""
    console = Console(highlight=False)
    console.print(f"\n[bold]{result.title}[/]")
    for table in result.tables:
        console.print(_rich(table))
    if result.goals:
        console.print(_rich(_goals(result.goals)))


def write(parts: tuple[str, ...]) -> None:
    """Write the page from the stored results of all parts."""
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
    return Table(GOAL_HEADINGS, tuple((goal.what, *goal.words) for goal in goals))


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
