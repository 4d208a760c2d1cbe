"""The stages of a restore: stage the backup, exchange it for the present data, migrate, verify."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from gpuhost.runner.contract import FAILED, RESTORE, RESTORED, AppPaths, Operation, Result
from gpuhost.runner.data import stored
from gpuhost.runner.data.staging import servers, stage
from gpuhost.runner.data.stored import Stored
from gpuhost.runner.lib.commands import run
from gpuhost.runner.lib.files import clear, write_json
from gpuhost.runner.stages import activation
from gpuhost.runner.stages.engine import Stage, Work, best_effort
from gpuhost.runner.stages.migrate import run_migration
from gpuhost.runner.stages.render import ensure_resolved
from gpuhost.runner.stages.restore_leftovers import save_databases
from gpuhost.runner.stages.restore_state import DONE, State, StateJournal
from gpuhost.runner.state import abort_request
from gpuhost.runner.state.journal import END
from gpuhost.runner.state.release import Release

STOP_S = 30
RUNNING = '{{.ID}} {{.Label "com.docker.compose.service"}}'


class Restore(Work):
    undo_stage = "undo"
    journal: StateJournal

    def __init__(
        self, operation: Operation, release: Release, backup: Stored, state: State
    ) -> None:
        self.subject, self.operation = self, operation
        self.release, self.backup = release, backup
        self.log, self.app = release.log, release.app
        self.journal = StateJournal(self.app.restoring, state)
        self.stages = STAGES if release.plan.migrate else STAGES_WITHOUT_MIGRATION
        self.aside = self.app.backups / state.aside
        what = "THE PREVIOUS DATA, OR THE APP WITH IT, COULD NOT BE RESTORED"
        self.undo_warning = (what, f"the previous data is in {self.aside}")
        self.gap: float | None = None
        self._stopped: float | None = None

    @property
    def state(self) -> State:
        return self.journal.state

    def change_state(self, **changed: object) -> None:
        """Stored with the next note in the journal."""
        self.journal.state = replace(self.state, **changed)  # type: ignore[arg-type]

    def aborted_by(self) -> str:
        return abort_request.requested_by(self.app)

    def is_done(self) -> bool:
        return self.state.step == DONE

    def before_change(self) -> None:
        self._stopped = self._stopped or time.monotonic()

    def finish(self) -> None:
        if self._stopped is not None:
            self.gap = round(time.monotonic() - self._stopped, 1)
            self.log.write(f"the app was stopped for {self.gap:.0f} s")

    def result(self, state: str, **more: Any) -> Result:
        return restore_result(self.operation, self.app, state, gap_s=self.gap, **more)

    def write_draft(self, bad: Result) -> None:
        self.change_state(said=bad.said, output=bad.output, fix=bad.fix, aborted_by=bad.aborted_by)

    def read_draft(self) -> Result | None:
        state = self.state
        return self.result(
            FAILED,
            said=state.said,
            output=state.output,
            fix=state.fix,
            aborted_by=state.aborted_by,
        )

    def undo(self, bad: Result) -> Result:
        """Move the previous data back, and verify the app with it."""
        if not self.journal.has(END, "exchange back"):
            _exchange_back(self)
            self.journal.note(END, "exchange back")
            self.log.write("the previous data is in place again")
        if not self.journal.has(END, "undo"):
            activation.activate(self.release)
            self.journal.note(END, "undo")
        _keep_undone(self)
        self.log.write("the previous data is restored, and the app is verified with it")
        return replace(bad, state=RESTORED, restored=self.release.plan.id)


def _stage(work: Restore) -> None:
    stored.require_intact(work.backup)
    ensure_resolved(work.release)
    is_new = not work.app.restore.exists()
    clear(work.app.restore)
    work.app.restore.mkdir(mode=0o700)
    write_json(work.app.restoring, asdict(work.state), mode=0o600)
    # Also if all is set aside on another disk: its name there depends on this one.
    work.aside.mkdir(mode=0o700, exist_ok=True)
    # Of an earlier restore, which could not dump them.
    names = ("aside", "beside") if is_new else ("aside",)
    save_databases(work.release, work.backup, work.aside, names, ".earlier")
    exchanges = stage(work.release, work.backup, work.app.restore / "staged", work.aside)
    work.change_state(exchanges=exchanges)


def _exchange(work: Restore) -> None:
    _stop_app(work)
    for exchange in work.state.exchanges:
        exchange.put_in_place(work.app)
    for item, server in servers(work.release, work.backup):
        server.swap()
        work.log.write(f"{item.name}: in place")


def _exchange_back(work: Restore) -> None:
    _stop_app(work)
    for _, server in servers(work.release, work.backup):
        server.swap_back()
    for exchange in reversed(work.state.exchanges):
        exchange.undo(work.app)


def _keep_undone(work: Restore) -> None:
    """Keep the restored data that is not in place any more: the app may have written to it."""
    place = work.app.backups / work.state.undone
    with best_effort(work.log, "the restored database stays beside the previous one"):
        save_databases(work.release, work.backup, place, ("beside",))
    work.log.write(
        f"the restored data, with what the app wrote to it, is in {place}; delete it when you do "
        "not need it"
    )


STAGES = (
    Stage("stage", _stage),
    Stage("exchange", _exchange, changes=True, again=True),
    # The data may be older than the current release.
    Stage("migrate", lambda work: run_migration(work.release), changes=True, again=True),
    Stage("verify", lambda work: activation.activate(work.release), changes=True, again=True),
)
STAGES_WITHOUT_MIGRATION = tuple(stage for stage in STAGES if stage.name != "migrate")


def keep_previous(work: Restore) -> None:
    """After a good restore: dump each previous database to a file, then drop it."""
    with best_effort(work.log, "the previous database stays beside the new one"):
        save_databases(work.release, work.backup, work.aside, ("aside",))
    for exchange in work.state.exchanges:
        exchange.clear_staged(work.app)
    work.log.write(f"the previous data is in {work.aside}; delete it when you do not need it")
    work.log.write(f"verified, with the data of {work.backup.name}")


def _stop_app(work: Restore) -> None:
    """Stop all containers except database servers, whose data is exchanged inside them."""
    databases = {item.service for item in work.backup.manifest.items if item.kind == "postgres"}
    project = f"label=com.docker.compose.project={work.release.plan.project}"
    words = ("docker", "ps", "--no-trunc", "--format", RUNNING, "--filter", project)
    listed = run(work.log, *words, seconds=60, what="docker ps", quiet=True)
    containers = (line.split() for line in listed.splitlines())
    # By label: a person may have started a service of another profile.
    writers = [container for container, *service in containers if not databases & set(service)]
    if writers:
        what, seconds = "stopping the app", STOP_S + 90
        run(work.log, "docker", "stop", "-t", str(STOP_S), *writers, seconds=seconds, what=what)


def restore_result(operation: Operation, app: AppPaths, state: str, **more: Any) -> Result:
    details = {"stage": RESTORE, "backup": operation.id, **more}
    return Result.of(operation, app.home.name, state, **details)
