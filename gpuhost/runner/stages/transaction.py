"""A release or a rollback: verified in the end, or the previous release is restored."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from gpuhost.runner.contract import (
    RELEASE,
    RESTORE_FAILED,
    RESTORED,
    ROLLBACK,
    UNDONE,
    Result,
)
from gpuhost.runner.data import backup, directories, schedule
from gpuhost.runner.docker.containers import logs
from gpuhost.runner.lib.files import point
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
from gpuhost.runner.stages.downtime import Downtime
from gpuhost.runner.stages.engine import (
    Stage,
    as_failure,
    best_effort,
    ended,
    loud,
    run_or_restore,
)
from gpuhost.runner.stages.preflight import check
from gpuhost.runner.state import results
from gpuhost.runner.state.journal import BEGIN, Journal
from gpuhost.runner.state.release import Release

PREPARING = (
    Stage("preflight", check),
    Stage("source", source.fetch),
    Stage("render", render.render, again=True),
    Stage("build", build.build),
    Stage("backup", backup.before_migration),
    Stage("migrate", migrate.migrate, changes=True),
)
# A rollback has its images and its data.
PREPARING_ROLLBACK = (
    Stage("preflight", check),
    Stage("render", render.render, again=True),
)
ACTIVATING = (
    Stage("up", activation.up, changes=True, again=True),
    Stage("verify", activation.verify, changes=True, again=True),
    Stage("nginx", activation.switch_nginx, changes=True, again=True),
)


def stages_of(release: Release) -> tuple[Stage, ...]:
    stages = (PREPARING_ROLLBACK if release.plan.rollback_of else PREPARING) + ACTIVATING
    if release.plan.migrate:
        return stages
    return tuple(
        replace(stage, changes=False) if stage.name == "migrate" else stage for stage in stages
    )


def run_transaction(release: Release) -> Result:
    """Finish it, or restore the previous release; the result is on disk when this returns."""
    with Downtime(release) as downtime:
        result = run_or_restore(_Transaction(release, downtime))
    with best_effort(release.log):
        release.remember(gap_s=downtime.seconds)
    result = replace(result, gap_s=downtime.seconds)
    results.write(release, result)
    if result.verified:
        keep(release)
    else:
        _run_each(release, prune.trim)
    return result


class _Transaction:
    """A release, for the engine."""

    def __init__(self, release: Release, downtime: Downtime) -> None:
        self.subject = self._release = release
        self.log = release.log
        self.journal = Journal(release.paths.journal)
        self.stages = stages_of(release)
        self.limit_s: float = release.plan.limit_s
        self._downtime = downtime

    def is_done(self) -> bool:
        return self._release.app.current.resolve() == self._release.paths.home.resolve()

    def before_change(self) -> None:
        first_release.note_existing(self._release)
        self._downtime.begin()

    def took(self, stage: str, seconds: float) -> None:
        self._release.remember(took={**self._release.record.took, stage: seconds})

    def finish(self) -> None:
        point(self._release.app.current, f"releases/{self._release.plan.id}")

    def last_lines(self) -> tuple[str, ...]:
        return logs(self._release)

    def draft(self) -> Result | None:
        return results.read_draft(self._release)

    def write_draft(self, bad: Result) -> None:
        results.write_draft(self._release, bad)

    def result(self, state: str, **more: object) -> Result:
        plan = self._release.plan
        # Without a backup there is nothing to lose: models are fetched, say.
        migrates = plan.migrate is not None and not plan.migrate.without_backup
        values: dict[str, object] = {
            "id": plan.id,
            "app": plan.app,
            "kind": ROLLBACK if plan.rollback_of else RELEASE,
            "state": state,
            "by": plan.by,
            "revision": plan.revision,
            "inputs": plan.inputs,
            "started": self.journal.started,
            "ended": time.time(),
            "migrated": migrates and self.journal.has(BEGIN, "migrate"),
            "backup": self._release.record.backup,
            "gap_s": self._release.record.gap_s,
            **more,
        }
        return Result(**values)  # type: ignore[arg-type]

    def undo(self, bad: Result) -> Result:
        """The last verified release is activated again."""
        release, log = self._release, self.log
        self._downtime.begin()
        log.stage("restore")
        _run_each(release, migrate.end, directories.restore_owners)
        try:
            before = previous(release)
            if before is None:
                return _undo_first_release(release, bad)
            log.write(f"restoring {before.plan.id}")
            activation.activate(before)
        except Exception as error:
            said = as_failure(error).said
            loud(log, f"THE PREVIOUS RELEASE COULD NOT BE RESTORED: {said}")
            return ended(bad, RESTORE_FAILED, restore_said=log.masked(said))
        log.write(f"{before.plan.id} is restored and verified")
        return ended(bad, RESTORED, restored=before.plan.id)


def keep(release: Release) -> None:
    """What follows a verified release, and cannot make it a failed one."""
    release.log.stage("keep")
    _run_each(release, schedule.install, prune.prune, runner_cleanup.forget, fingerprint.keep)
    release.log.write(f"verified: {release.plan.app} {release.plan.id}")


def _run_each(release: Release, *steps: Callable[[Release], None]) -> None:
    """What cannot change how the release ended."""
    for step in steps:
        with best_effort(release.log):
            step(release)


def _undo_first_release(release: Release, bad: Result) -> Result:
    left = first_release.undo(release)
    log = release.log
    log.write("there was no previous release: what this one started is stopped, its data stays")
    if left.untouched:
        log.write(f"containers started by hand are unchanged: {', '.join(left.untouched)}")
    if left.replaced:
        gone = "CONTAINERS STARTED BY HAND ARE GONE: THIS RELEASE HAD REPLACED THEM"
        loud(log, gone, *left.replaced, "Their images, volumes and files still exist.")
    return ended(bad, UNDONE, replaced=left.replaced, untouched=left.untouched)


def previous(release: Release) -> Release | None:
    """The last verified release; while it is restored it writes into this one's log.

    Raises BadPlan if it cannot be read any more.
    """
    if not release.app.current.is_symlink():
        return None
    return Release.open(release.app, release.app.current.resolve().name, release.log)
