"""The results as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tests.upstream.story import Result

HEAD = ("system", "revision", "real", "stubbed", "proven", "seconds")


def table(results: Sequence[Result]) -> str:
    """One line for each system."""
    lines = [HEAD, ("---",) * len(HEAD), *(_row(result) for result in results)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(result: Result) -> tuple[str, ...]:
    system = result.system
    stubbed = [f"`{base.tag}`: {base.about}" for base in system.bases]
    stubbed += [stub.what for stub in system.stubs]
    seconds = ", ".join(f"{step} {duration:.0f}" for step, duration in result.steps.items())
    proven = result.proven or "-"
    if result.failed is not None:
        proven = f"**failed**: {result.failed.splitlines()[0]}"
    return (
        system.name,
        f"`{result.pinned[:7]}`",
        system.real,
        "; ".join(stubbed),
        proven,
        seconds,
    )
