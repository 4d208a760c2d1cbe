"""A release or a rollback: it ends verified, or the previous release is restored."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gpuhost.runner.contract import (
    FAILED,
    RELEASE,
    RESTORED,
    ROLLBACK,
    UNDONE,
    Operation,
    Result,
)
from gpuhost.runner.data import backup, directories, schedule
from gpuhost.runner.docker.containers import logs
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import point
from gpuhost.runner.stages import (
    activation,
    build,
    fingerprint,
    first_release,
    migrate,
    printed_secrets,
    prune,
    render,
    runner_cleanup,
    source,
)
from gpuhost.runner.stages.downtime import Downtime
from gpuhost.runner.stages.engine import Stage, Work, best_effort, run_or_restore
from gpuhost.runner.stages.preflight import check
from gpuhost.runner.state import abort_request, results
from gpuhost.runner.state.journal import BEGIN, MIGRATE, UNDO, UP, Entry, Journal
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import linked_id

PREPARING = (
    Stage("preflight", check),
    Stage("source", source.fetch),
    Stage("render", render.render, again=True),
    Stage("build", build.build),
    Stage("backup", backup.before_migration),
    Stage(MIGRATE, migrate.migrate, changes=True),
)
# A rollback needs no build and no migration.
PREPARING_ROLLBACK = (
    Stage("preflight", check),
    Stage("render", render.render, again=True),
)
ACTIVATING = (
    Stage(UP, activation.up, changes=True, again=True),
    Stage("verify", activation.verify, changes=True, again=True),
    Stage("nginx", activation.switch_nginx, changes=True, again=True),
)


def stages_of(release: Release) -> tuple[Stage, ...]:
    stages = (PREPARING_ROLLBACK if release.plan.rollback_of else PREPARING) + ACTIVATING
    if release.plan.migrate:
        return stages
    return tuple(
        replace(stage, changes=False) if stage.name == MIGRATE else stage for stage in stages
    )


def run_transaction(release: Release) -> Result:
    """Run or continue a release; if it fails, restore the previous one. Stores the result."""
    with Downtime(release) as downtime:
        result = run_or_restore(_Transaction(release, downtime))
    with best_effort(release.log):
        release.remember(gap_s=downtime.seconds)
    result = replace(result, gap_s=downtime.seconds)
    results.store(release.app, result)
    if result.verified:
        follow_up(release)
    else:
        _run_each(release, prune.trim)
    return result


def refuse(release: Release, failure: Failure) -> Result:
    """Store the result of a release or a rollback that does not begin."""
    plan = release.plan
    for line in failure.lines:
        release.log.write(line)
    operation = Operation(ROLLBACK if plan.rollback_of else RELEASE, plan.id, plan.by, time.time())
    details = {"said": release.log.said(failure.said), "fix": release.log.said(failure.fix)}
    result = Result.of(
        operation, plan.app, FAILED, revision=plan.revision, inputs=plan.inputs, **details
    )
    results.store(release.app, result)
    return result


class _Transaction(Work):
    undo_stage = "restore"
    undo_warning = ("THE PREVIOUS RELEASE COULD NOT BE RESTORED",)

    def __init__(self, release: Release, downtime: Downtime) -> None:
        self.subject = self._release = release
        self.log = release.log
        self.journal = Journal(release.paths.journal)
        self._find_lost_events()
        self.stages = stages_of(release)
        self.limit_s = release.plan.limit_s
        self._downtime = downtime

    def _find_lost_events(self) -> None:
        """What other files say has begun, the journal must have too."""
        journal = self.journal
        if not all(journal.has(BEGIN, stage) for stage in self._release.record.took):
            journal.is_damaged = True
        if self.read_draft() and not journal.has(UNDO):
            journal.is_damaged = True
            journal.entries.append(Entry.now(UNDO, ""))

    def aborted_by(self) -> str:
        return abort_request.requested_by(self._release.app)

    def is_done(self) -> bool:
        return linked_id(self._release.app) == self._release.plan.id

    def before_change(self) -> None:
        first_release.note_existing(self._release)
        self._downtime.begin()

    def record_duration(self, stage: str, seconds: float) -> None:
        self._release.remember(took={**self._release.record.took, stage: seconds})

    def finish(self) -> None:
        point(self._release.app.current, f"releases/{self._release.plan.id}")

    def last_lines(self) -> tuple[str, ...]:
        return logs(self._release)

    def write_draft(self, bad: Result) -> None:
        results.write_draft(self._release, bad)

    def read_draft(self) -> Result | None:
        return results.read_draft(self._release)

    def result(self, state: str, **more: Any) -> Result:
        plan, started = self._release.plan, self.journal.started
        kind = ROLLBACK if plan.rollback_of else RELEASE
        # A migration without a backup changes no data that could be lost: it downloads models, say.
        migrates = plan.migrate is not None and not plan.migrate.without_backup
        return Result.of(
            Operation(kind, plan.id, plan.by, started),
            plan.app,
            state,
            revision=plan.revision,
            inputs=plan.inputs,
            migrated=migrates and self.journal.has(BEGIN, MIGRATE),
            backup=self._release.record.backup,
            **more,
        )

    def undo(self, bad: Result) -> Result:
        """Activate the last verified release again."""
        release = self._release
        self._downtime.begin()
        _run_each(release, migrate.stop, directories.restore_owners)
        previous = Release.open_current(release.app, self.log)
        if previous is None:
            return _undo_first_release(release, bad)
        self.log.write(f"restoring {previous.plan.id}")
        activation.activate(previous)
        self.log.write(f"{previous.plan.id} is restored and verified")
        return replace(bad, state=RESTORED, restored=previous.plan.id)


def follow_up(release: Release) -> None:
    """What follows a verified release; an error in it does not make the release fail."""
    release.log.stage("keep")
    steps = (schedule.install, activation.restore_cards, prune.prune, runner_cleanup.forget)
    _run_each(release, *steps, fingerprint.keep, printed_secrets.warn)
    release.log.write(f"verified: {release.plan.app} {release.plan.id}")


def _run_each(release: Release, *steps: Callable[[Release], None]) -> None:
    """Run all of them, whatever fails."""
    for step in steps:
        with best_effort(release.log):
            step(release)


def _undo_first_release(release: Release, bad: Result) -> Result:
    left = first_release.undo(release)
    log = release.log
    log.write("no previous release: what this release started is stopped, its data is kept")
    if left.untouched:
        log.write(f"containers started by hand are unchanged: {', '.join(left.untouched)}")
    if left.replaced:
        gone = "CONTAINERS STARTED BY HAND ARE GONE: THIS RELEASE HAD REPLACED THEM"
        log.loud(gone, *left.replaced, "Their images, volumes and files still exist.")
    return replace(bad, state=UNDONE, replaced=left.replaced, untouched=left.untouched)
