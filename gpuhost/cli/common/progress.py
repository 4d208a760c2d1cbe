"""The progress line of commands that read hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from gpuhost.domain.plain_text import plain
from gpuhost.fleet.host_pool import OnDone


@contextmanager
def progress(names: Sequence[str]) -> Iterator[OnDone]:
    """Shows, on stderr, how many hosts are done and which are not."""
    columns = TextColumn("{task.completed:g}/{task.total:g} hosts"), TimeElapsedColumn()
    text = TextColumn("{task.description}", markup=False)
    remaining = list(names)
    stderr = Console(stderr=True)
    # Without a thread of its own, which worker processes would inherit.
    with Progress(*columns, text, auto_refresh=False, console=stderr, transient=True) as bar:
        task = bar.add_task(_waiting_for(remaining), total=len(names))

        def on_done(host: str | None) -> None:
            if host is not None:
                remaining.remove(host)
                bar.update(task, advance=1, description=_waiting_for(remaining))
            bar.refresh()

        yield on_done


def _waiting_for(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return plain(f"waiting for {', '.join(names[:3])}{more}") if names else ""
