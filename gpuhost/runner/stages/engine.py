"""Runs the stages of a release or a restore, and undoes them if one fails or a person aborts it.

`run_or_restore` is the only way in, also after an interruption: it skips the stages that the
journal records as ended, and continues an undo that has begun.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from gpuhost.runner.contract import FAILED, RESTORE_FAILED, VERIFIED, Result
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.boot_time import ClockWatch
from gpuhost.runner.lib.failure import Failure, failure_of, in_words, temporary
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.state.journal import BEGIN, END, GIVEN_UP, START, UNDO, Journal

# After more starts than this the work is undone: something in it kills its runner.
MAX_STARTS = 4
# And after more than this the undo is given up.
MAX_UNDO_STARTS = 2 * MAX_STARTS


@dataclass(frozen=True)
class Stage:
    """A step with a name that people see; `run` gets the subject of the work."""

    name: str
    run: Callable[[Any], None]
    # A failure after its start is undone.
    changes: bool = False
    # Repeated after an interruption even if it had ended: its effect may be gone.
    again: bool = False


class Work(ABC):
    """A release or a restore.

    + subject: the argument of its stages
    + limit_s: for all stages together
    + undo_stage: the name of the undo in the log
    + undo_warning: what the log says if the undo fails; the reason follows the first line
    """

    log: Log
    journal: Journal
    stages: tuple[Stage, ...]
    subject: Any
    limit_s: float = math.inf
    undo_stage: str
    undo_warning: tuple[str, ...]

    @abstractmethod
    def aborted_by(self) -> str:
        """Who has asked to abort it; "": nobody."""

    @abstractmethod
    def is_done(self) -> bool:
        """Whether all stages had ended when the runner was interrupted."""

    def before_change(self) -> None:  # noqa: B027
        """Called before each stage that changes something."""

    def record_duration(self, stage: str, seconds: float) -> None:  # noqa: B027
        """Called after each stage."""

    @abstractmethod
    def finish(self) -> None:
        """Called after the last stage."""

    @abstractmethod
    def result(self, state: str, **more: Any) -> Result: ...

    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the app's own log, after a failure."""
        return ()

    @abstractmethod
    def write_draft(self, bad: Result) -> None:
        """Store the result so far: why the work is undone."""

    @abstractmethod
    def read_draft(self) -> Result | None: ...

    @abstractmethod
    def undo(self, bad: Result) -> Result:
        """Restore the previous state. Any exception means that this failed."""


def run_or_restore(work: Work) -> Result:
    """Run all stages; if one fails after a change, restore the previous state."""
    clock = ClockWatch(work.log)
    result = _run_or_restore(work, clock)
    clock.tell()
    return replace(result, took_s=round(work.journal.elapsed_s, 1))


def _run_or_restore(work: Work, clock: ClockWatch) -> Result:
    if work.is_done():
        return work.result(VERIFIED)
    with best_effort(work.log):
        work.journal.note(START)
    if work.journal.has(UNDO):
        return _undo(work, Failure("the runner was interrupted during the undo"))
    try:
        if work.journal.is_damaged:
            raise Failure("its journal is damaged: what has begun and ended is not known")
        if work.journal.starts > MAX_STARTS:
            raise Failure(f"the runner was interrupted {work.journal.starts - 1} times")
        with abort.abortable(work.aborted_by, lambda: _require_time(work)):
            for stage in work.stages:
                abort.check()
                _run(stage, work)
                clock.tell()
        work.finish()
    except Exception as error:  # whatever it is, the previous state is restored
        # A command that was ended for the abort may have failed in its own words.
        by = work.aborted_by()
        return _undo(work, abort.Aborted(by) if by else as_failure(error))
    return work.result(VERIFIED)


def _run(stage: Stage, work: Work) -> None:
    journal = work.journal
    if journal.has(END, stage.name) and not stage.again:
        return
    if stage.changes:
        work.before_change()
    journal.note(BEGIN, stage.name)
    work.log.stage(stage.name)
    began = time.monotonic()
    stage.run(work.subject)
    work.record_duration(stage.name, round(time.monotonic() - began, 1))
    journal.note(END, stage.name)


def _require_time(work: Work) -> None:
    if work.journal.elapsed_s <= work.limit_s:
        return
    interrupted = "; its runner was interrupted" if work.journal.starts > 1 else ""
    raise Failure(f"the release did not end within {work.limit_s} s{interrupted}")


def _undo(work: Work, failure: Failure) -> Result:
    is_undoing = work.journal.has(UNDO)
    bad = (work.read_draft() if is_undoing else None) or _failed(work, failure)
    if not _has_changed(work):
        return bad
    if not is_undoing:
        # On disk first: if the undo is interrupted, the next runner knows its reason.
        with best_effort(work.log):
            work.write_draft(bad)
        with best_effort(work.log):
            work.journal.note(UNDO, bad.stage)
    work.log.stage(work.undo_stage)
    try:
        if work.journal.starts > MAX_UNDO_STARTS:
            raise Failure(
                f"its runner was interrupted {work.journal.starts - 1} times: journalctl -k says "
                "whether for memory"
            )
        return replace(work.undo(bad), ended=time.time())
    except Exception as error:
        if cause := temporary(error):
            # The next runner continues the undo. systemd starts none after a Failure.
            raise cause from None
        return _unrestored(work, bad, work.log.said(as_failure(error).said))


def _unrestored(work: Work, bad: Result, reason: str) -> Result:
    first, *rest = work.undo_warning
    work.log.loud(f"{first}: {reason}", *rest)
    # A person may continue the undo.
    with best_effort(work.log):
        work.journal.note(GIVEN_UP)
    return replace(bad, state=RESTORE_FAILED, restore_said=reason, ended=time.time())


def _failed(work: Work, failure: Failure) -> Result:
    stage, said = work.journal.last_begun, work.log.said(failure.said)
    work.log.failed(stage, said)
    output = tuple(map(work.log.masked, failure.output))
    fix = work.log.said(failure.fix)
    details = {"stage": stage, "said": said, "fix": fix, "output": output}
    if isinstance(failure, abort.Aborted):
        return work.result(FAILED, **details, aborted_by=failure.by)
    lines: tuple[str, ...] = ()
    if _has_changed(work):
        with best_effort(work.log):
            lines = work.last_lines()
    return work.result(FAILED, **details, logs=lines)


def _has_changed(work: Work) -> bool:
    begun = (work.journal.has(BEGIN, stage.name) for stage in work.stages if stage.changes)
    return work.journal.is_damaged or any(begun)


@contextmanager
def best_effort(log: Log, what: str = "") -> Iterator[None]:
    """Log an error and continue: on a full disk, for example.

    + what: what the error means, for the log
    """
    try:
        yield
    except Exception as error:
        log.write(f"warning: {what}: {error}" if what else f"warning: {error}")


def as_failure(error: Exception) -> Failure:
    if isinstance(error, Failure):
        return error
    if isinstance(error, BadPlan):
        return Failure(str(error))
    if isinstance(error, OSError) and error.strerror:
        return failure_of(error)
    return Failure(in_words(error))
