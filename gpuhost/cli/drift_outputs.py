"""Where a drift run's result goes besides the terminal: checked before any host is asked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import click

from gpuhost.cli.streams import say
from gpuhost.drift.files import obstacle
from gpuhost.drift.history import History, Run
from gpuhost.drift.report import DriftReport
from gpuhost.drift.run_lock import run_lock
from gpuhost.drift.since import Since, named, open_now, since
from gpuhost.drift.trend import Reading
from gpuhost.fleet.reading import one_line
from gpuhost.outputs import drift_page, metrics
from gpuhost.outputs.notify import message, send, unusable

NOTIFY = "GPUHOST_NOTIFY"


@dataclass(frozen=True)
class Delivered:
    """What has changed since the last run (None: no runs are kept), and whether all was written.

    A service that is not told is no such thing.
    """

    changes: Since | None
    written: bool


@dataclass(frozen=True)
class Outputs:
    """What was asked for."""

    history: Path | None
    since: str | None
    html: Path | None
    metrics: Path | None
    notify: tuple[str, ...]

    @cached_property
    def _runs(self) -> History | None:
        return History(self.history, say) if self.history else None

    def check(self) -> None:
        """Raises click.ClickException, in one line, for what could not be written or sent."""
        if problem := self._without_history() or self._unwritable() or self._unusable():
            raise click.ClickException(problem)

    def _without_history(self) -> str:
        if self.since and not self.history:
            return "--since needs --history DIR: where earlier runs are kept"
        if self.notify and not self.history:
            return (
                f"--notify (or {NOTIFY}) needs --history DIR: it tells what has changed since the "
                "last run, which is kept there"
            )
        return ""

    def _unwritable(self) -> str:
        for option, path in (("--html", self.html), ("--metrics", self.metrics)):
            if path and (why := obstacle(path)):
                return f"{option} {path}: {why}"
        why = self._runs.obstacle() if self._runs else ""
        return f"--history {self.history}: {why}" if why else ""

    def _unusable(self) -> str:
        if not (bad := unusable(self.notify) if self.notify else []):
            return ""
        return (
            f"--notify (or {NOTIFY}): URL {bad[0] + 1} of {len(self.notify)} is none that apprise "
            "can use: its service is unknown, or a part is missing"
        )

    def disks(self, at: int) -> dict[str, list[Reading]]:
        return self._runs.disks(at) if self._runs else {}

    def deliver(self, report: DriftReport, seconds: float, names: Collection[str]) -> Delivered:
        """Compare it with the last run, tell, and keep it as the one that the next is compared
        with; then write it.

        What a person has broken off is neither kept nor told, and no measurement.

        + seconds: how long the run took
        + names: of all hosts in the inventory
        """
        changes, written = None, []
        if runs := self._runs:
            changes, kept = self._compared(runs, report, names)
            written.append(kept)
        written.append(self._page(report, changes))
        if not report.interrupted:
            written.append(self._metrics(report, seconds))
        return Delivered(changes, all(written))

    def _compared(
        self, runs: History, report: DriftReport, names: Collection[str]
    ) -> tuple[Since, bool]:
        """What has changed, told and kept, with no other run in between; whether it is kept."""
        # Who only looks waits for nobody.
        with nullcontext() if report.interrupted else run_lock(runs.directory, say):
            before = _before(runs, report)
            known = named(before.open, names) if before else {}
            now = open_now(report, known)
            changes = since(before.at, known, now) if before else Since()
            if report.interrupted:
                return changes, True
            self._tell(report, changes)
            return changes, _written("--history", partial(runs.keep, report, now, before))

    def _page(self, report: DriftReport, changes: Since | None) -> bool:
        if not (path := self.html):
            return True
        new = changes.new_findings if changes else frozenset()
        return _written("--html", lambda: drift_page.write(path, drift_page.page(report, new=new)))

    def _metrics(self, report: DriftReport, seconds: float) -> bool:
        if not (path := self.metrics):
            return True
        return _written("--metrics", lambda: metrics.write(path, report, seconds))

    def _tell(self, report: DriftReport, changes: Since) -> None:
        if not (self.notify and changes.changed):
            return
        try:
            failed = send(self.notify, message(report, changes))
        except Exception as error:
            # No word of the error: it may hold a URL.
            say(f"the notification failed: {type(error).__name__}")
            return
        for service in failed:
            say(f"the notification by {service} failed")


def _before(runs: History, report: DriftReport) -> Run | None:
    """The last run that was kept until now: it may have begun after this one."""
    try:
        return runs.newest(max(report.at, int(time.time())))
    except OSError as error:
        say(f"--history: not read: {error.strerror or error}")
        return None


def _written(option: str, write: Callable[[], None]) -> bool:
    """Whether that came off. One output's trouble does not take the others."""
    try:
        write()
    except Exception as error:
        why = getattr(error, "strerror", None) or one_line(f"{type(error).__name__}: {error}")
        say(f"{option}: not written: {why}")
        return False
    return True


class _Named(click.Path):
    """A path; an empty one is a shell's variable that is not set, not this directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            option = param.opts[0] if param else "a path"
            raise click.ClickException(f"{option} is empty: name a path, or leave it out")
        return super().convert(value, param, ctx)


FILE = _Named(path_type=Path)
OPTIONS = (
    click.option("--html", type=FILE, metavar="FILE", help="Write the report as a web page."),
    click.option(
        "--metrics", type=FILE, metavar="FILE", help="Write metrics for node_exporter (*.prom)."
    ),
    click.option(
        "--history",
        type=FILE,
        metavar="DIR",
        help="Keep each run in this directory, and warn of disks that will fill.",
    ),
    click.option(
        "--since",
        type=click.Choice(["last"]),
        help="Show what is new and what is gone since the last run in --history.",
    ),
    click.option(
        "--notify",
        multiple=True,
        envvar=NOTIFY,
        metavar="URL",
        help="Tell, through apprise, what has changed since the last run in --history; "
        f"repeatable. Better in the environment, as {NOTIFY}: a URL holds a token, and arguments "
        "are seen by others.",
    ),
)


def with_outputs(command: Callable[..., None]) -> Callable[..., None]:
    """The options of all outputs; the command gets them as `outputs`, checked."""

    def chosen(*args: Any, **given: Any) -> None:
        outputs = Outputs(**{name: given.pop(name) for name in Outputs.__dataclass_fields__})
        outputs.check()
        command(*args, outputs=outputs, **given)

    chosen.__name__, chosen.__doc__ = command.__name__, command.__doc__
    chosen.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for decorate in reversed(OPTIONS):
        chosen = decorate(chosen)
    return chosen
