"""A release from its first stage to its end: verified, or be back where it was.

There is one way in, `carry_out`, for a new release, a rollback, and one that was cut off: what the
journal says was ended is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gpuhost.runner import (
    activation,
    backup,
    build,
    fingerprint,
    migrate,
    prune,
    render,
    result,
    runners,
    schedule,
    source,
)
from gpuhost.runner.containers import logs
from gpuhost.runner.failure import Failure
from gpuhost.runner.files import point
from gpuhost.runner.gap import Gap
from gpuhost.runner.journal import BEGIN, END, START, UNDO, Journal
from gpuhost.runner.preflight import check
from gpuhost.runner.release import Release
from gpuhost.runner.result import FAILED, RESTORE_FAILED, RESTORED, UNDONE, VERIFIED, Result

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
        ended = _there_or_back(release, Journal(release.paths.journal))
    release.remember(gap_s=gap.seconds)
    ended = replace(ended, gap_s=gap.seconds)
    result.write(release, ended)
    if ended.state == VERIFIED:
        keep(release)
    else:
        _afterwards(release, prune.trim)
    return ended


def _there_or_back(release: Release, journal: Journal) -> Result:
    journal.note(START)
    if journal.has(UNDO):
        return _undo(release, journal, Failure("it was cut off while it was being undone"))
    try:
        _interrupted_too_often(journal)
        for stage in stages_of(release):
            _carry_out(stage, release, journal)
    except Failure as failure:
        return _undo(release, journal, failure)
    except Exception as error:  # the release before comes back, whatever this is
        return _undo(release, journal, Failure(f"gpuhost itself failed: {error!r}"))
    point(release.app.current, f"releases/{release.plan.id}")
    return _result(release, journal, VERIFIED)


def _carry_out(stage: Stage, release: Release, journal: Journal) -> None:
    if journal.has(END, stage.name) and not stage.again:
        return
    if time.time() - journal.started > release.plan.limit_s:
        raise Failure(f"the release took longer than {release.plan.limit_s} s")
    journal.note(BEGIN, stage.name)
    release.log.stage(stage.name)
    began = time.monotonic()
    stage.carry_out(release)
    took = round(time.monotonic() - began, 1)
    release.remember(took={**release.record.took, stage.name: took})
    journal.note(END, stage.name)


def _interrupted_too_often(journal: Journal) -> None:
    if journal.starts > MOST_STARTS:
        raise Failure(f"it was cut off {journal.starts - 1} times")


def keep(release: Release) -> None:
    """What follows from a good release, and cannot make it a bad one."""
    release.log.stage("keep")
    _afterwards(release, schedule.install, prune.prune, runners.forget, fingerprint.keep)
    release.log.write(f"verified: {release.plan.app} {release.plan.id}")


def _afterwards(release: Release, *steps: Callable[[Release], None]) -> None:
    """What cannot change how the release ended."""
    for step in steps:
        try:
            step(release)
        except Exception as problem:
            release.log.write(f"warning: {problem}")


def _undo(release: Release, journal: Journal, failure: Failure) -> Result:
    """Bring back the last verified release, if the failed one had begun to change anything."""
    bad = result.read_draft(release) if journal.has(UNDO) else None
    if bad is None:
        bad = _failed(release, journal, failure)
        # On disk first: if the undoing is cut off, the next runner knows why it began.
        result.write_draft(release, bad)
    if not _changed(release, journal):
        return bad
    journal.note(UNDO, bad.stage)
    return _brought_back(release, bad)


def _failed(release: Release, journal: Journal, failure: Failure) -> Result:
    stage, said = _last_begun(journal), release.log.masked(failure.said)
    release.log.write(f"FAILED in {stage}: {said}")
    return _result(
        release,
        journal,
        FAILED,
        stage=stage,
        said=said,
        fix=failure.fix,
        output=failure.output,
        logs=logs(release) if _changed(release, journal) else (),
    )


def _brought_back(release: Release, bad: Result) -> Result:
    before = previous(release)
    log = release.log
    log.stage("restore")
    try:
        if before is None:
            activation.stop(release)
            log.write("there was no release before: it is stopped, its data stays")
            return _ended(bad, UNDONE)
        log.write(f"bringing back {before.plan.id}")
        activation.activate(before)
    except Exception as error:
        said = error.said if isinstance(error, Failure) else repr(error)
        log.write(f"{LOUD}\nTHE RELEASE BEFORE DID NOT COME BACK: {said}\n{LOUD}")
        return _ended(bad, RESTORE_FAILED, restore_said=log.masked(said))
    log.write(f"{before.plan.id} is back, and verified")
    return _ended(bad, RESTORED, restored=before.plan.id)


def previous(release: Release) -> Release | None:
    """The last verified release, which writes into this one's log while it is brought back."""
    if not release.app.current.exists():
        return None
    return Release.open(release.app, release.app.current.resolve().name, release.log)


def _changed(release: Release, journal: Journal) -> bool:
    """Whether a stage that changes what runs has begun; a migration counts only if there is one."""
    begun = {stage.name for stage in stages_of(release) if stage.changes}
    if release.plan.migrate is None:
        begun.discard("migrate")
    return any(journal.has(BEGIN, name) for name in begun)


def _last_begun(journal: Journal) -> str:
    return next((e.stage for e in reversed(journal.entries) if e.event == BEGIN), "start")


def _result(release: Release, journal: Journal, state: str, **more: object) -> Result:
    plan = release.plan
    # Without a backup there is nothing to lose: models are fetched, say.
    migrates = plan.migrate is not None and not plan.migrate_without_backup
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
