"""An app's data as a backup has it: staged beside, exchanged by renaming, verified, or undone.

The present data is set aside under backups/before-restore-TIME and never removed by gpuhost. Cut
off at any moment, the same call finishes it or undoes it.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from pathlib import Path

from gpuhost.runner.contract import (
    FAILED,
    RESTORE,
    RESTORE_FAILED,
    RESTORED,
    AppPaths,
    ReleasePaths,
    Result,
)
from gpuhost.runner.data import stored
from gpuhost.runner.data.exchange import clear
from gpuhost.runner.data.staging import limit, servers, stage
from gpuhost.runner.data.stored import Stored
from gpuhost.runner.lib.commands import run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages import activation
from gpuhost.runner.stages.engine import Stage, as_failure, ended, loud, run_or_restore
from gpuhost.runner.stages.migrate import bring_up_to_date
from gpuhost.runner.stages.restore_state import DONE, STAGING, State, Steps, new_state, read_state
from gpuhost.runner.state import operations, results
from gpuhost.runner.state.journal import END
from gpuhost.runner.state.release import Release

STOP_S = 30
RUNNING = '{{.ID}} {{.Label "com.docker.compose.service"}}'


class _Restore:
    """A restore, for the engine."""

    limit_s = math.inf

    def __init__(self, release: Release, backup: Stored, state: State) -> None:
        self.subject, self.release, self.backup = self, release, backup
        self.log, self.app = release.log, release.app
        self.journal: Steps = Steps(self.app.restoring, state)
        self.stages = STAGES if release.plan.migrate else STAGES_WITHOUT_MIGRATION
        self.gap: float | None = None
        self._stopped: float | None = None

    @property
    def state(self) -> State:
        return self.journal.state

    @property
    def aside(self) -> Path:
        return self.app.backups / self.state.aside

    def is_done(self) -> bool:
        return self.state.step == DONE

    def before_change(self) -> None:
        if self._stopped is None:
            self._stopped = time.monotonic()

    def took(self, stage: str, seconds: float) -> None:
        """A restore keeps no times."""

    def finish(self) -> None:
        if self._stopped is not None:
            self.gap = round(time.monotonic() - self._stopped, 1)
            self.log.write(f"it was stopped for {self.gap:.0f} s")

    def last_lines(self) -> tuple[str, ...]:
        return ()

    def result(self, state: str, **more: object) -> Result:
        return _result(self.app, self.backup.name, state, gap_s=self.gap, **more)

    def draft(self) -> Result | None:
        state = self.state
        return self.result(FAILED, said=state.said, output=state.output, fix=state.fix)

    def write_draft(self, bad: Result) -> None:
        """It is on disk with the next note."""
        self.remember(said=bad.said, output=bad.output, fix=bad.fix)

    def remember(self, **changed: object) -> None:
        self.journal.state = replace(self.state, **changed)  # type: ignore[arg-type]

    def undo(self, bad: Result) -> Result:
        """The present data again, and the app verified with it."""
        log = self.log
        log.stage("undo")
        try:
            if not self.journal.has(END, "undo"):
                _exchange_back(self)
                self.journal.note(END, "undo")
            for _, server in servers(self.release, self.backup):
                server.drop(server.beside)
        except Exception as error:
            said = log.masked(as_failure(error).said)
            what = "THE PREVIOUS DATA, OR THE APP WITH IT, COULD NOT BE RESTORED"
            loud(log, f"{what}: {said}", f"it is in {self.aside}")
            return ended(bad, RESTORE_FAILED, restore_said=said)
        _clear_staged(self)
        log.write("the previous data is restored, and the app is verified with it")
        return ended(bad, RESTORED, restored=self.release.plan.id)


def paths(app: AppPaths, name: str) -> ReleasePaths:
    """Where log and result.json of a restore are: beside the backup's own files."""
    return ReleasePaths(app.backups / name)


def restore(app: AppPaths, name: str, by: str) -> Result:
    """Put a backup's data in place of the present data; the result is on disk when this returns.

    The app is stopped meanwhile, except its PostgreSQL servers. It never raises Failure.

    + name: the backup's
    + by: who asked for it
    """
    operation = operations.unfinished(app)
    began = operation.started if operation else time.time()
    home = paths(app, name)
    known = results.read(home.result)
    if known and operation and known.started == began:
        result = known  # its runner was cut off after the end
    else:
        result = replace(_run(app, name), by=by, started=began, ended=time.time())
        results.audit(app, result)
        if home.home.is_dir():
            write_json(home.result, asdict(result))
    before = read_state(app)
    if before and before.backup == name and result.state != RESTORE_FAILED:
        clear(app.restore)
    return result


def _run(app: AppPaths, name: str) -> Result:
    before = read_state(app)
    if before and before.backup != name:
        problem = Failure(
            f"the restore of {before.backup} has not ended",
            fix=f"restore {before.backup} again: it is finished or undone",
        )
        return _failed(app, name, FAILED, problem)
    half_done = before if before and before.step != STAGING else None
    not_begun = RESTORE_FAILED if half_done else FAILED
    try:
        backup = _backup(app, name, half_done)
    except Failure as failure:
        return _failed(app, name, not_begun, failure)
    home = paths(app, name)
    home.home.mkdir(mode=0o700, exist_ok=True)
    if before is None:
        home.result.unlink(missing_ok=True)
        home.log.unlink(missing_ok=True)
    log = Log(home.log)
    try:
        release = _current_release(app, log)
    except (Failure, BadPlan) as error:
        log.write(f"FAILED: {as_failure(error).said}")
        return _failed(app, name, not_begun, as_failure(error))
    work = _Restore(release, backup, half_done or new_state(backup))
    result = run_or_restore(work)
    if result.verified:
        _keep(work)
    return result


def _backup(app: AppPaths, name: str, half_done: State | None) -> Stored:
    """What was begun is finished or undone, even if somebody has removed the backup.

    Raises Failure.
    """
    if half_done and half_done.manifest:
        return Stored(app.backups / name, half_done.manifest)
    return stored.one(app, name)


def _stage(work: _Restore) -> None:
    stored.require_intact(work.backup)
    clear(work.app.restore)
    work.app.restore.mkdir(mode=0o700)
    write_json(work.app.restoring, asdict(work.state), mode=0o600)
    staged = stage(work.release, work.backup, work.app.restore / "staged", work.aside)
    work.remember(exchanges=staged)


def _exchange(work: _Restore) -> None:
    _stop(work)
    for exchange in work.state.exchanges:
        exchange.put_in_place()
    for item, server in servers(work.release, work.backup):
        server.swap()
        work.log.write(f"{item.name}: in place")


def _exchange_back(work: _Restore) -> None:
    _stop(work)
    for _, server in servers(work.release, work.backup):
        server.swap_back()
    for exchange in reversed(work.state.exchanges):
        exchange.undo()
    activation.activate(work.release)


STAGES = (
    Stage("stage", _stage),
    Stage("exchange", _exchange, changes=True, again=True),
    # The data may be older than the release that runs.
    Stage("migrate", lambda work: bring_up_to_date(work.release), changes=True, again=True),
    Stage("verify", lambda work: activation.activate(work.release), changes=True, again=True),
)
STAGES_WITHOUT_MIGRATION = tuple(stage for stage in STAGES if stage.name != "migrate")


def _keep(work: _Restore) -> None:
    """The previous data stays, as files; a database is dumped, and dropped only then."""
    log, aside = work.log, work.aside
    try:
        for item, server in servers(work.release, work.backup):
            if not server.has_aside():
                continue
            aside.mkdir(mode=0o700, exist_ok=True)
            target = aside / f"{item.service}.{server.aside}.dump"
            target.unlink(missing_ok=True)
            server.dump(target, limit(work.release), database=server.aside)
            server.drop(server.aside)
    except (Failure, OSError) as problem:
        log.write(f"warning: the previous database stays beside the new one: {problem}")
    _clear_staged(work)
    log.write(f"the previous data is in {aside}; remove it when it is not needed any more")
    log.write(f"verified, with the data of {work.backup.name}")


def _stop(work: _Restore) -> None:
    """Everything that writes; database servers keep running, their data is exchanged in them."""
    databases = {item.service for item in work.backup.manifest.items if item.kind == "postgres"}
    log = work.log
    project = f"label=com.docker.compose.project={work.release.plan.project}"
    words = ("docker", "ps", "--no-trunc", "--format", RUNNING, "--filter", project)
    listed = run(log, *words, seconds=60, what="docker ps", quiet=True)
    containers = (line.split() for line in listed.splitlines())
    # By their labels: somebody may have started one of another profile by hand.
    writers = [container for container, *service in containers if not databases & set(service)]
    if writers:
        what, seconds = "stopping the app", STOP_S + 90
        run(log, "docker", "stop", "-t", str(STOP_S), *writers, seconds=seconds, what=what)


def _clear_staged(work: _Restore) -> None:
    for exchange in work.state.exchanges:
        clear(Path(exchange.staged).parent)


def _current_release(app: AppPaths, log: Log) -> Release:
    if not app.current.exists():
        raise Failure(
            f"{app.home.name} has no verified release to restore data for",
            fix="release it first, then restore",
        )
    return Release.open(app, app.current.resolve().name, log)


def _failed(app: AppPaths, name: str, state: str, failure: Failure) -> Result:
    return _result(app, name, state, said=failure.said, output=failure.output, fix=failure.fix)


def _result(app: AppPaths, name: str, state: str, **more: object) -> Result:
    values: dict[str, object] = {
        "id": name,
        "app": app.home.name,
        "kind": RESTORE,
        "state": state,
        "by": "",
        "revision": "",
        "inputs": "",
        "started": 0.0,
        "ended": 0.0,
        "stage": RESTORE,
        "backup": name,
        **more,
    }
    return Result(**values)  # type: ignore[arg-type]
