"""Stages carried out in order, finished or undone, also after the runner was cut off.

There is one way in, `run_or_restore`. What the journal says has ended is not done again, and an
undo that has begun is continued.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gpuhost.runner.contract import FAILED, STAGE_FAILED, VERIFIED, Result
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.state.journal import BEGIN, END, START, UNDO

# Cut off more often than this, it is undone: something about it ends its runner.
MOST_STARTS = 4
LOUD = "!" * 78


@dataclass(frozen=True)
class Stage:
    """A step with a name that people see; `run` gets the release or the restore."""

    name: str
    run: Callable[[Any], None]
    # Once it has begun, a failure is undone.
    changes: bool = False
    # Again after an interruption, even if it had ended: what it made may be gone.
    again: bool = False


class Notes(Protocol):
    """Where it is on disk how far the work is."""

    @property
    def starts(self) -> int: ...
    @property
    def started(self) -> float: ...
    @property
    def last_begun(self) -> str: ...
    def note(self, event: str, stage: str = "") -> None: ...
    def has(self, event: str, stage: str | None = None) -> bool: ...


class Work(Protocol):
    """A release or a restore, as the engine sees it.

    + subject: what its stages get
    + limit_s: for all of it
    + is_done: its runner was cut off after the end, before it could write the result
    + before_change: called before each stage that changes something
    + took: a stage has ended, after so many seconds
    + finish: every stage has ended
    + last_lines: the app's own, after a failure
    + draft: why it is undone, as an earlier runner wrote it
    + undo: everything as it was before; raises nothing
    """

    log: Log
    stages: tuple[Stage, ...]
    subject: Any
    limit_s: float

    @property
    def journal(self) -> Notes: ...
    def is_done(self) -> bool: ...
    def before_change(self) -> None: ...
    def took(self, stage: str, seconds: float) -> None: ...
    def finish(self) -> None: ...
    def result(self, state: str, **more: object) -> Result: ...
    def last_lines(self) -> tuple[str, ...]: ...
    def draft(self) -> Result | None: ...
    def write_draft(self, bad: Result) -> None: ...
    def undo(self, bad: Result) -> Result: ...


def run_or_restore(work: Work) -> Result:
    """Finish it, or undo it if it fails after a change."""
    if work.is_done():
        return work.result(VERIFIED)
    with best_effort(work.log):
        work.journal.note(START)
    if work.journal.has(UNDO):
        return _undo(work, Failure("it was cut off while it was being undone"))
    try:
        _require_few_starts(work.journal)
        for stage in work.stages:
            _run(stage, work)
        work.finish()
    except Exception as error:  # whatever it is, the previous state is restored
        return _undo(work, as_failure(error))
    return work.result(VERIFIED)


def _run(stage: Stage, work: Work) -> None:
    journal = work.journal
    if journal.has(END, stage.name) and not stage.again:
        return
    _require_time(work)
    if stage.changes:
        work.before_change()
    journal.note(BEGIN, stage.name)
    work.log.stage(stage.name)
    began = time.monotonic()
    stage.run(work.subject)
    work.took(stage.name, round(time.monotonic() - began, 1))
    journal.note(END, stage.name)


def _require_time(work: Work) -> None:
    limit = work.limit_s
    if time.time() - work.journal.started <= limit:
        return
    if work.journal.starts > 1:
        raise Failure(f"it was cut off, and more than {limit} s have passed since it began")
    raise Failure(f"the release took longer than {limit} s")


def _require_few_starts(journal: Notes) -> None:
    if journal.starts > MOST_STARTS:
        raise Failure(f"it was cut off {journal.starts - 1} times")


def _undo(work: Work, failure: Failure) -> Result:
    bad = work.draft() if work.journal.has(UNDO) else None
    if bad is None:
        bad = _failed(work, failure)
        # On disk first: if the undo is cut off, the next runner knows why it began.
        with best_effort(work.log):
            work.write_draft(bad)
    if not _has_changed(work):
        return bad
    if not work.journal.has(UNDO):
        with best_effort(work.log):
            work.journal.note(UNDO, bad.stage)
    return work.undo(bad)


def _failed(work: Work, failure: Failure) -> Result:
    stage, said = work.journal.last_begun, work.log.masked(failure.said)
    work.log.write(f"{STAGE_FAILED}{stage}: {said}")
    lines: tuple[str, ...] = ()
    if _has_changed(work):
        with best_effort(work.log):
            lines = work.last_lines()
    details = {"stage": stage, "said": said, "fix": failure.fix, "output": failure.output}
    return work.result(FAILED, **details, logs=lines)


def _has_changed(work: Work) -> bool:
    return any(stage.changes and work.journal.has(BEGIN, stage.name) for stage in work.stages)


@contextmanager
def best_effort(log: Log) -> Iterator[None]:
    """An error in it is logged and stops nothing: a full disk, for example."""
    try:
        yield
    except Exception as problem:
        log.write(f"warning: {problem}")


def loud(log: Log, *lines: str) -> None:
    log.write("\n".join((LOUD, *lines, LOUD)))


def as_failure(error: Exception) -> Failure:
    if isinstance(error, BadPlan):
        return Failure(str(error))
    return error if isinstance(error, Failure) else Failure(f"gpuhost itself failed: {error!r}")


def ended(bad: Result, state: str, **more: object) -> Result:
    """How a failed one ended once it was undone."""
    return replace(bad, state=state, ended=time.time(), **more)  # type: ignore[arg-type]
