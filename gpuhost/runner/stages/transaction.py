"""A release from its first stage to its end: verified, or be back where it was.

There is one way in, `carry_out`, for a new release, a rollback, and one that was cut off: what the
journal says was ended is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from gpuhost.runner.contract import FAILED, RESTORE_FAILED, RESTORED, UNDONE, VERIFIED, Result
from gpuhost.runner.data import backup, directories, schedule
from gpuhost.runner.docker.containers import logs
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import point
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages import (
    activation,
    build,
    fingerprint,
    first_release,
    migrate,
    prune,
    render,
    runner_cleanup,
    source,
)
from gpuhost.runner.stages.downtime import Gap
from gpuhost.runner.stages.preflight import check
from gpuhost.runner.state import results
from gpuhost.runner.state.journal import BEGIN, END, START, UNDO, Journal
from gpuhost.runner.state.release import Release

# Cut off more often than this, it is undone: something about it ends its runner.
MOST_STARTS = 4
LOUD = "!" * 78


@dataclass(frozen=True)
class Stage:
    """A step with a name that people see."""

    name: str
    carry_out: Callable[[Release], None]
    # Once it has begun, a failure means that the release before is brought back.
    changes: bool = False
    # Again after an interruption, even if it had ended: what it made may not be there any more.
    again: bool = False


PREPARING = (
    Stage("preflight", check),
    Stage("source", source.fetch),
    Stage("render", render.render, again=True),
    Stage("build", build.build),
    Stage("backup", backup.before_migration),
    Stage("migrate", migrate.migrate, changes=True),
)
BRINGING_BACK = (
    Stage("preflight", check),
    Stage("render", render.render, again=True),
)
ACTIVATING = (
    Stage("up", activation.up, changes=True, again=True),
    Stage("verify", activation.verify, changes=True, again=True),
    Stage("nginx", activation.switch_nginx, changes=True, again=True),
)


def stages_of(release: Release) -> tuple[Stage, ...]:
    """A rollback has its images and its data: it is only put in place again."""
    return (BRINGING_BACK if release.plan.rollback_of else PREPARING) + ACTIVATING


def carry_out(release: Release) -> Result:
    """Finish it, or bring back the release before; the result is on disk when this returns."""
    with Gap(release) as gap:
        ended = _there_or_back(release, Journal(release.paths.journal), gap)
    with _regardless(release):
        release.remember(gap_s=gap.seconds)
    ended = replace(ended, gap_s=gap.seconds)
    results.write(release, ended)
    if ended.state == VERIFIED:
        keep(release)
    else:
        _afterwards(release, prune.trim)
    return ended


def _there_or_back(release: Release, journal: Journal, gap: Gap) -> Result:
    if _is_current(release):
        # Its runner was cut off after the end, before it could say so.
        return _result(release, journal, VERIFIED)
    with _regardless(release):
        journal.note(START)
    if journal.has(UNDO):
        return _undo(release, journal, gap, Failure("it was cut off while it was being undone"))
    try:
        _interrupted_too_often(journal)
        for stage in stages_of(release):
            _carry_out(stage, release, journal, gap)
        point(release.app.current, f"releases/{release.plan.id}")
    except Exception as error:  # the release before comes back, whatever this is
        return _undo(release, journal, gap, _as_failure(error))
    return _result(release, journal, VERIFIED)


def _is_current(release: Release) -> bool:
    return release.app.current.resolve() == release.paths.home.resolve()


def _carry_out(stage: Stage, release: Release, journal: Journal, gap: Gap) -> None:
    if journal.has(END, stage.name) and not stage.again:
        return
    _in_time(release, journal)
    if stage.name in _changing(release):
        first_release.look(release)
        gap.begin()
    journal.note(BEGIN, stage.name)
    release.log.stage(stage.name)
    began = time.monotonic()
    stage.carry_out(release)
    took = round(time.monotonic() - began, 1)
    release.remember(took={**release.record.took, stage.name: took})
    journal.note(END, stage.name)


def _in_time(release: Release, journal: Journal) -> None:
    limit = release.plan.limit_s
    if time.time() - journal.started <= limit:
        return
    if journal.starts > 1:
        raise Failure(f"it was cut off, and it is more than {limit} s since it began")
    raise Failure(f"the release took longer than {limit} s")


def _interrupted_too_often(journal: Journal) -> None:
    if journal.starts > MOST_STARTS:
        raise Failure(f"it was cut off {journal.starts - 1} times")


def keep(release: Release) -> None:
    """What follows from a good release, and cannot make it a bad one."""
    release.log.stage("keep")
    _afterwards(release, schedule.install, prune.prune, runner_cleanup.forget, fingerprint.keep)
    release.log.write(f"verified: {release.plan.app} {release.plan.id}")


def _afterwards(release: Release, *steps: Callable[[Release], None]) -> None:
    """What cannot change how the release ended."""
    for step in steps:
        with _regardless(release):
            step(release)


@contextmanager
def _regardless(release: Release) -> Iterator[None]:
    """What goes wrong in it is said, and stops nothing: a full disk, for example."""
    try:
        yield
    except Exception as problem:
        release.log.write(f"warning: {problem}")


def _undo(release: Release, journal: Journal, gap: Gap, failure: Failure) -> Result:
    """Bring back the last verified release, if the failed one had begun to change anything."""
    bad = results.read_draft(release) if journal.has(UNDO) else None
    if bad is None:
        bad = _failed(release, journal, failure)
        # On disk first: if the undoing is cut off, the next runner knows why it began.
        with _regardless(release):
            results.write_draft(release, bad)
    if not _changed(release, journal):
        return bad
    gap.begin()
    with _regardless(release):
        journal.note(UNDO, bad.stage)
    return _brought_back(release, bad)


def _failed(release: Release, journal: Journal, failure: Failure) -> Result:
    stage, said = _last_begun(journal), release.log.masked(failure.said)
    release.log.write(f"FAILED in {stage}: {said}")
    last: tuple[str, ...] = ()
    if _changed(release, journal):
        with _regardless(release):
            last = logs(release)
    return _result(
        release,
        journal,
        FAILED,
        stage=stage,
        said=said,
        fix=failure.fix,
        output=failure.output,
        logs=last,
    )


def _brought_back(release: Release, bad: Result) -> Result:
    log = release.log
    log.stage("restore")
    _afterwards(release, migrate.end, directories.put_back)
    try:
        before = previous(release)
        if before is None:
            return _taken_away(release, bad)
        log.write(f"bringing back {before.plan.id}")
        activation.activate(before)
    except Exception as error:
        said = _as_failure(error).said
        _loud(release, f"THE RELEASE BEFORE DID NOT COME BACK: {said}")
        return _ended(bad, RESTORE_FAILED, restore_said=log.masked(said))
    log.write(f"{before.plan.id} is back, and verified")
    return _ended(bad, RESTORED, restored=before.plan.id)


def _taken_away(release: Release, bad: Result) -> Result:
    left = first_release.take_away(release)
    release.log.write("there was no release before: what it has started is stopped, data stays")
    if left.untouched:
        release.log.write(f"what was started by hand is as it was: {', '.join(left.untouched)}")
    if left.replaced:
        gone = "WHAT WAS STARTED BY HAND IS GONE: THIS RELEASE HAD TAKEN ITS PLACE"
        _loud(release, gone, *left.replaced, "Its images, its volumes and its files are there.")
    return _ended(bad, UNDONE, replaced=left.replaced, untouched=left.untouched)


def _loud(release: Release, *lines: str) -> None:
    release.log.write("\n".join((LOUD, *lines, LOUD)))


def _as_failure(error: Exception) -> Failure:
    if isinstance(error, BadPlan):
        return Failure(str(error))
    return error if isinstance(error, Failure) else Failure(f"gpuhost itself failed: {error!r}")


def previous(release: Release) -> Release | None:
    """The last verified release, which writes into this one's log while it is brought back.

    Raises BadPlan if it cannot be read any more.
    """
    if not release.app.current.is_symlink():
        return None
    return Release.open(release.app, release.app.current.resolve().name, release.log)


def _changed(release: Release, journal: Journal) -> bool:
    return any(journal.has(BEGIN, name) for name in _changing(release))


def _changing(release: Release) -> set[str]:
    """The stages that change what runs; a migration is one only if there is any."""
    names = {stage.name for stage in stages_of(release) if stage.changes}
    return names if release.plan.migrate else names - {"migrate"}


def _last_begun(journal: Journal) -> str:
    return next((e.stage for e in reversed(journal.entries) if e.event == BEGIN), "start")


def _result(release: Release, journal: Journal, state: str, **more: object) -> Result:
    plan = release.plan
    # Without a backup there is nothing to lose: models are fetched, say.
    migrates = plan.migrate is not None and not plan.migrate.without_backup
    migrated = migrates and journal.has(BEGIN, "migrate")
    values: dict[str, object] = {
        "id": plan.id,
        "app": plan.app,
        "kind": "rollback" if plan.rollback_of else "release",
        "state": state,
        "by": plan.by,
        "revision": plan.revision,
        "inputs": plan.inputs,
        "started": journal.started,
        "ended": time.time(),
        "migrated": migrated,
        "backup": release.record.backup,
        "gap_s": release.record.gap_s,
        **more,
    }
    return Result(**values)  # type: ignore[arg-type]


def _ended(bad: Result, state: str, **more: object) -> Result:
    return replace(bad, state=state, ended=time.time(), **more)  # type: ignore[arg-type]
