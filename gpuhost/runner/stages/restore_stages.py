"""The stages of a restore: stage the backup, exchange it for the present data, migrate, verify."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gpuhost.runner.contract import FAILED, RESTORE, RESTORED, AppPaths, Operation, Result
from gpuhost.runner.data import stored
from gpuhost.runner.data.exchange import Exchange
from gpuhost.runner.data.staging import plan, servers, stage
from gpuhost.runner.data.stored import Stored
from gpuhost.runner.lib.commands import run
from gpuhost.runner.lib.failure import Failure, explained
from gpuhost.runner.lib.files import clear
from gpuhost.runner.stages import activation
from gpuhost.runner.stages.engine import Stage, Work, as_failure, best_effort
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


def _exchange(work: Restore) -> None:
    _stop_app(work)
    number = 0
    for number, exchange in enumerate(work.state.exchanges, start=1):
        begin, is_begun = partial(_begin, work, number), work.state.is_begun(number)
        exchange.put_in_place(work.app, begin, is_begun=is_begun)
    for item, server in servers(work.release, work.backup):
        server.swap(partial(_begin, work, number + 1))
        work.log.write(f"{item.name}: in place")


def _begin(work: Restore, number: int) -> None:
    if not work.state.is_begun(number):
        work.journal.store(begun=number)


def _exchange_back(work: Restore) -> None:
    """Undo each exchange that was begun, also if another one cannot be undone."""
    _stop_app(work)
    exchanges = list(enumerate(work.state.exchanges, start=1))
    undos: list[Callable[[], None]] = []
    said: list[str] = []
    if work.state.is_begun(len(exchanges) + 1):
        with _collected(work, said):
            undos += [server.swap_back for _, server in servers(work.release, work.backup)]
    undos += [
        partial(exchange.undo, work.app)
        for number, exchange in reversed(exchanges)
        if work.state.is_begun(number)
    ]
    for undo in undos:
        with _collected(work, said):
            undo()
    if said:
        raise Failure("; ".join(said))


@contextmanager
def _collected(work: Restore, said: list[str]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        failure = as_failure(error)
        said.append(failure.said)
        work.log.write(f"not undone: {failure.said}" + (failure.fix and f"; {failure.fix}"))


def _keep_undone(work: Restore) -> None:
    """Keep the restored data that is not in place any more: the app may have written to it."""
    place = work.app.backups / work.state.undone
    with best_effort(work.log, "the restored database stays beside the previous one"):
        save_databases(work.release, work.backup, place, ("beside",))
    exchanges = work.state.exchanges
    moved = [one for one in exchanges if os.path.lexists(Path(one.staged).parent)]
    what = "the restored data, with what the app wrote to it, is in"
    _tell_kept(work, what, place, map(work.state.undone_of, moved))


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
