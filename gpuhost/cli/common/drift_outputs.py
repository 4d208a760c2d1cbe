"""Outputs of a drift run besides the terminal. Checked before any host is contacted; what writes
them is imported when it is needed: each is a tenth of the command's start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import click

from gpuhost.cli.common.non_empty_path import NonEmptyPath
from gpuhost.cli.common.streams import say
from gpuhost.drift.files import write_problem
from gpuhost.drift.history import History, Run
from gpuhost.drift.report import DriftReport
from gpuhost.drift.run_lock import run_lock
from gpuhost.drift.since import Changes, compare, forget_removed_hosts, open_findings
from gpuhost.drift.trend import Reading
from gpuhost.fleet.reading import one_line

NOTIFY = "GPUHOST_NOTIFY"


@dataclass(frozen=True)
class Delivered:
    """changes: since the last run; None: there is no history.

    + written: whether every file was written; notifications do not count
    """

    changes: Changes | None
    written: bool


@dataclass(frozen=True)
class Outputs:
    """The outputs that the options select."""

    history: Path | None
    since: str | None
    html: Path | None
    metrics: Path | None
    notify: tuple[str, ...]

    @cached_property
    def _runs(self) -> History | None:
        return History(self.history, say) if self.history else None

    def check(self) -> None:
        """Raises click.ClickException, in one line, for what cannot be written or sent."""
        if problem := self._without_history() or self._unwritable() or self._unusable():
            raise click.ClickException(problem)

    def _without_history(self) -> str:
        if self.since and not self.history:
            return "--since needs --history DIR, the directory of earlier runs"
        if self.notify and not self.history:
            return (
                f"--notify (or {NOTIFY}) needs --history DIR: it reports what has changed since "
                "the last run, which is stored there"
            )
        return ""

    def _unwritable(self) -> str:
        for option, path in (("--html", self.html), ("--metrics", self.metrics)):
            if path and (why := write_problem(path)):
                return f"{option} {path}: {why}"
        why = self._runs.prepare() if self._runs else ""
        return f"--history {self.history}: {why}" if why else ""

    def _unusable(self) -> str:
        if not self.notify:
            return ""
        from gpuhost.outputs.notify import unusable

        bad_urls = unusable(self.notify)
        if not bad_urls:
            return ""
        return (
            f"--notify (or {NOTIFY}): apprise cannot use URL {bad_urls[0] + 1} of "
            f"{len(self.notify)}: its service is unknown, or a part is missing"
        )

    def disks(self, at: int) -> dict[str, list[Reading]]:
        return self._runs.disks(at) if self._runs else {}

    def deliver(self, report: DriftReport, seconds: float, names: Collection[str]) -> Delivered:
        """Compare with the last run, notify, save this run, write the page and the metrics.

        An interrupted run is not saved, not notified and has no metrics.

        + seconds: how long the run took
        + names: of all hosts in the inventory
        """
        changes, written = None, []
        if runs := self._runs:
            changes, saved = self._compare_and_save(runs, report, names)
            written.append(saved)
        written.append(self._write_page(report, changes))
        if not report.interrupted:
            written.append(self._write_metrics(report, seconds))
        return Delivered(changes, all(written))

    def _compare_and_save(
        self, runs: History, report: DriftReport, names: Collection[str]
    ) -> tuple[Changes, bool]:
        """The changes, and whether the run is saved. No other run changes the history meanwhile."""
        # A run that saves nothing does not wait.
        with nullcontext() if report.interrupted else run_lock(runs.directory, say):
            last = _last_run(runs, report)
            known = forget_removed_hosts(last.open, names) if last else {}
            findings = open_findings(report, known)
            changes = compare(last.at, known, findings) if last else Changes()
            if report.interrupted:
                return changes, True
            self._notify(report, changes)
            return changes, _try_write("--history", partial(runs.save, report, findings, last))

    def _write_page(self, report: DriftReport, changes: Changes | None) -> bool:
        if not (path := self.html):
            return True
        from gpuhost.outputs import drift_page

        new = changes.new_findings if changes else frozenset()
        return _try_write(
            "--html", lambda: drift_page.write(path, drift_page.page(report, new=new))
        )

    def _write_metrics(self, report: DriftReport, seconds: float) -> bool:
        if not (path := self.metrics):
            return True
        from gpuhost.outputs import metrics

        return _try_write("--metrics", lambda: metrics.write(path, report, seconds))

    def _notify(self, report: DriftReport, changes: Changes) -> None:
        if not (self.notify and changes.changed):
            return
        from gpuhost.outputs.notify import message, send

        try:
            failed = send(self.notify, message(report, changes))
        except Exception as error:
            # Without the error's message, which may contain a URL.
            say(f"the notification failed: {type(error).__name__}")
            return
        for service in failed:
            say(f"the notification through {service} failed")


def _last_run(runs: History, report: DriftReport) -> Run | None:
    """The run that was saved last; it may have started after this one."""
    try:
        return runs.newest(max(report.at, int(time.time())))
    except OSError as error:
        say(f"--history: could not be read: {error.strerror or error}")
        return None


def _try_write(option: str, write: Callable[[], None]) -> bool:
    """Whether it was written. An error of one output does not affect the others."""
    try:
        write()
    except Exception as error:
        why = getattr(error, "strerror", None) or one_line(f"{type(error).__name__}: {error}")
        say(f"{option}: not written: {why}")
        return False
    return True


FILE = NonEmptyPath(path_type=Path)
OPTIONS = (
    click.option("--html", type=FILE, metavar="FILE", help="Write the report as a web page."),
    click.option(
        "--metrics", type=FILE, metavar="FILE", help="Write metrics for node_exporter (*.prom)."
    ),
    click.option(
        "--history",
        type=FILE,
        metavar="DIR",
        help="Store each run in this directory; warn of disks that will fill up.",
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
        help="Send what has changed since the last run in --history to this apprise URL; "
        f"repeatable. Prefer the environment variable {NOTIFY}: a URL contains a token, and other "
        "users can read arguments.",
    ),
)


def with_outputs(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of all outputs; the command gets them as `outputs`, checked."""

    def wrapper(*args: Any, **values: Any) -> None:
        outputs = Outputs(**{name: values.pop(name) for name in Outputs.__dataclass_fields__})
        outputs.check()
        command(*args, outputs=outputs, **values)

    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    params = getattr(command, "__click_params__", [])
    wrapper.__click_params__ = params  # type: ignore[attr-defined]
    for add in reversed(OPTIONS):
        wrapper = add(wrapper)
    return wrapper
