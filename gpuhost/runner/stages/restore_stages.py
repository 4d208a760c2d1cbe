"""The stages of a restore: stage the backup, exchange it for the present data, migrate, verify."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpuhost.runner.contract import FAILED, RESTORE, RESTORED, AppPaths, Operation, Result
from gpuhost.runner.data import stored
from gpuhost.runner.data.exchange import Exchange
from gpuhost.runner.data.restore_plan import plan
from gpuhost.runner.data.staging import stage
from gpuhost.runner.data.stored import Stored
from gpuhost.runner.lib.failure import explained
from gpuhost.runner.lib.files import clear
from gpuhost.runner.stages import activation
from gpuhost.runner.stages.engine import Stage, Work, best_effort
from gpuhost.runner.stages.migrate import run_migration
from gpuhost.runner.stages.render import ensure_resolved
from gpuhost.runner.stages.restore_exchange import exchange_back, exchange_data
from gpuhost.runner.stages.restore_leftovers import save_databases
from gpuhost.runner.stages.restore_state import DONE, State, StateJournal
from gpuhost.runner.state import abort_request
from gpuhost.runner.state.journal import END, MIGRATE
from gpuhost.runner.state.release import Release


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
        self.undo_warning = ("THE PREVIOUS DATA, OR THE APP WITH IT, COULD NOT BE RESTORED",)
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

    @property
    def _on_other_disks(self) -> list[Exchange]:
        return [
            one for one in self.state.exchanges if not Path(one.aside).is_relative_to(self.aside)
        ]

    def undo(self, bad: Result) -> Result:
        """Move the previous data back, and verify the app with it."""
        asides = sorted({str(self.aside), *(one.aside for one in self._on_other_disks)})
        where = f"what is not in place again of the previous data is in {', '.join(asides)}"
        self.undo_warning = (self.undo_warning[0], where)
        if not self.journal.has(END, "exchange back"):
            exchange_back(self.release, self.backup, self.state)
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
    for exchange in work.state.exchanges:
        # Of this stage, which was interrupted.
        exchange.clear_staged(work.app)
    clear(work.app.restore)
    work.app.restore.mkdir(mode=0o700)
    work.journal.store(exchanges=(), begun=0)
    # Also if all is set aside on another disk: its name there depends on this one.
    work.aside.mkdir(mode=0o700, exist_ok=True)
    # Of an earlier restore, which could not dump them.
    names = ("aside", "beside") if is_new else ("aside",)
    save_databases(work.release, work.backup, work.aside, names, ".earlier")
    with explained("the backup cannot be staged", "correct that, and restore again"):
        parts = plan(work.release, work.backup, work.app.restore / "staged", work.aside)
        # First: what is staged on another disk is deleted if this ends here.
        work.journal.store(exchanges=tuple(dict.fromkeys(part.exchange for part in parts)))
        stage(work.release, work.backup, parts)


def _keep_undone(work: Restore) -> None:
    """Keep the restored data that is not in place any more: the app may have written to it."""
    place = work.app.backups / work.state.undone
    with best_effort(work.log, "the restored database stays beside the previous one"):
        save_databases(work.release, work.backup, place, ("beside",))
    exchanges = work.state.exchanges
    moved = [one for one in exchanges if os.path.lexists(Path(one.staged).parent)]
    what = "the restored data, with what the app wrote to it, is in"
    _tell_kept(work, what, place, map(work.state.undone_of, moved))


def _exchange(work: Restore) -> None:
    exchange_data(work.release, work.backup, work.journal)


STAGES = (
    Stage("stage", _stage),
    Stage("exchange", _exchange, changes=True, again=True),
    # The data may be older than the current release.
    Stage(MIGRATE, lambda work: run_migration(work.release), changes=True, again=True),
    Stage("verify", lambda work: activation.activate(work.release), changes=True, again=True),
)
STAGES_WITHOUT_MIGRATION = tuple(stage for stage in STAGES if stage.name != MIGRATE)


def keep_previous(work: Restore) -> None:
    """After a good restore: dump each previous database to a file, then drop it."""
    with best_effort(work.log, "the previous database stays beside the new one"):
        save_databases(work.release, work.backup, work.aside, ("aside",))
    with best_effort(work.log, "what was staged is not deleted yet"):
        for exchange in work.state.exchanges:
            exchange.clear_staged(work.app)
            exchange.remove_empty_aside(work.app)
    asides = [one.aside for one in work.state.exchanges if os.path.lexists(one.aside)]
    _tell_kept(work, "the previous data is in", work.aside, asides)
    work.log.write(f"verified, with the data of {work.backup.name}")


def _tell_kept(work: Restore, what: str, home: Path, places: Iterable[str]) -> None:
    """+ home: in backups/, with dumps of databases; + places: in it, or on other disks"""
    dumps = [str(home)] if home.is_dir() and any(home.iterdir()) else []
    found = dict.fromkeys(
        [*dumps, *(str(home) if Path(one).is_relative_to(home) else one for one in places)]
    )
    if found:
        work.log.write(f"{what} {', '.join(found)}; delete it when you do not need it")


def restore_result(operation: Operation, app: AppPaths, state: str, **more: Any) -> Result:
    details = {"stage": RESTORE, "backup": operation.id, **more}
    return Result.of(operation, app.home.name, state, **details)
