"""An app's data as a backup has it: laid out beside, exchanged by renaming, verified, or undone.

What is there is set aside under backups/before-restore-TIME and never removed by gpuhost. Cut off
at any moment, the same call goes on.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gpuhost.runner.contract import (
    FAILED,
    RESTORE_FAILED,
    RESTORED,
    VERIFIED,
    AppPaths,
    ReleasePaths,
    Result,
    from_json,
)
from gpuhost.runner.data import stored
from gpuhost.runner.data.exchange import Exchange, clear
from gpuhost.runner.data.staging import servers, stage
from gpuhost.runner.data.stored import Manifest, Stored
from gpuhost.runner.lib.commands import run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import append, write_json
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages import activation
from gpuhost.runner.stages.migrate import bring_up_to_date
from gpuhost.runner.state import operations, results
from gpuhost.runner.state.release import Release

STAGING, EXCHANGING, UNDOING = "staging", "exchanging", "undoing"
# From here on the data is left alone: only what is not needed any more is cleared away.
DONE, UNDONE = "done", "undone"
STOP_S = 30
RUNNING = '{{.ID}} {{.Label "com.docker.compose.service"}}'
LOUD = "!" * 78


@dataclass(frozen=True)
class State:
    """APP/restore/state.json: how far it is."""

    backup: str
    aside: str  # directory under backups/
    step: str = STAGING
    exchanges: tuple[Exchange, ...] = ()
    # Once all is laid out, this is what is still needed of the backup.
    manifest: Manifest | None = None
    said: str = ""  # why it is undone
    output: tuple[str, ...] = ()
    fix: str = ""


@dataclass
class _Restore:
    """One restore at work."""

    app: AppPaths
    release: Release
    backup: Stored
    state: State

    def remember(self, **changed: object) -> None:
        self.state = replace(self.state, **changed)  # type: ignore[arg-type]
        write_json(self.app.restoring, asdict(self.state), mode=0o600)


def paths(app: AppPaths, name: str) -> ReleasePaths:
    """Where log and result.json of a restore are: beside the backup's own files."""
    return ReleasePaths(app.backups / name)


def restore(app: AppPaths, name: str, by: str) -> Result:
    """Put a backup's data in place of the present; the result is on disk when this returns.

    The app is stopped meanwhile, but for its PostgreSQL servers. It never raises Failure.

    + name: the backup's
    + by: who asked for it
    """
    attempt = operations.unfinished(app)
    began = attempt.started if attempt else time.time()
    place = paths(app, name)
    known = results.read(place.result)
    if known and attempt and known.started == began:
        ended = known  # its runner was cut off after the end
    else:
        ended = replace(_of_backup(app, name), by=by, started=began, ended=time.time())
        append(app.history, _audited(ended))
        if place.home.is_dir():
            write_json(place.result, asdict(ended))
    before = _begun(app)
    if before and before.backup == name and ended.state != RESTORE_FAILED:
        clear(app.restore)
    return ended


def _of_backup(app: AppPaths, name: str) -> Result:
    before = _begun(app)
    if before and before.backup != name:
        problem = Failure(
            f"the restore of {before.backup} did not come to an end",
            fix=f"restore {before.backup} again: it is finished or undone",
        )
        return _result(app, name, FAILED, problem)
    try:
        backup = _backup(app, name, before)
    except Failure as failure:
        half_done = before and before.step != STAGING
        return _result(app, name, RESTORE_FAILED if half_done else FAILED, failure)
    place = paths(app, name)
    place.home.mkdir(mode=0o700, exist_ok=True)
    if before is None:
        place.result.unlink(missing_ok=True)
        place.log.unlink(missing_ok=True)
    log = Log(place.log)
    return _go_on(app, log, backup, before) if before else _begin(app, log, backup)


def _backup(app: AppPaths, name: str, before: State | None) -> Stored:
    """What was begun goes on, or back, even if somebody has taken the backup away.

    Raises Failure.
    """
    if before and before.step != STAGING and before.manifest:
        return Stored(app.backups / name, before.manifest)
    return stored.one(app, name)


def _go_on(app: AppPaths, log: Log, backup: Stored, before: State) -> Result:
    """It was cut off."""
    if before.step == STAGING:
        return _begin(app, log, backup)
    try:
        return _there_or_back(_Restore(app, _running(app, log), backup, before))
    except (Failure, BadPlan) as error:
        return _result(app, backup.name, RESTORE_FAILED, _as_failure(error))


def _begin(app: AppPaths, log: Log, backup: Stored) -> Result:
    try:
        stored.proven(backup)
        work = _Restore(app, _running(app, log), backup, _new(backup))
        _stage(work)
    except Exception as error:
        problem = _as_failure(error)
        log.write(f"FAILED, and nothing was changed: {problem.said}")
        return _result(app, backup.name, FAILED, problem)
    return _there_or_back(work)


def _stage(work: _Restore) -> None:
    work.release.log.stage("stage")
    aside = work.app.backups / work.state.aside
    clear(work.app.restore)
    work.app.restore.mkdir(mode=0o700)
    work.remember(step=STAGING)
    found = stage(work.release, work.backup, work.app.restore / "staged", aside)
    work.remember(step=EXCHANGING, exchanges=found)


def _there_or_back(work: _Restore) -> Result:
    log, step = work.release.log, work.state.step
    if step in (UNDOING, UNDONE):
        return _undo(work)
    if step == DONE:
        return _end(work, None)
    stopped = time.monotonic()
    try:
        _exchange(work)
        log.stage("verify")
        activation.activate(work.release)
    except Exception as error:  # the data of before comes back, whatever this is
        failure = _as_failure(error)
        log.write(f"FAILED: {failure.said}")
        work.remember(
            step=UNDOING,
            said=log.masked(failure.said),
            output=failure.output,
            fix=failure.fix,
        )
        return _undo(work)
    work.remember(step=DONE)
    return _end(work, round(time.monotonic() - stopped, 1))


def _end(work: _Restore, gap: float | None) -> Result:
    _keep(work)
    log = work.release.log
    if gap is not None:
        log.write(f"it was stopped for {gap:.0f} s")
    log.write(f"verified, with the data of {work.backup.name}")
    return replace(_result(work.app, work.backup.name, VERIFIED), gap_s=gap)


def _exchange(work: _Restore) -> None:
    log = work.release.log
    log.stage("exchange")
    _stop(work)
    for exchange in work.state.exchanges:
        exchange.put_in_place()
    for item, server in servers(work.release, work.backup):
        server.swap()
        log.write(f"{item.name}: in place")
    if work.release.plan.migrate:
        # The data may be older than the release that runs.
        log.stage("migrate")
        bring_up_to_date(work.release)


def _undo(work: _Restore) -> Result:
    """The data of before, and the app verified with it."""
    log, state = work.release.log, work.state
    log.stage("undo")
    failure = Failure(state.said, output=state.output, fix=state.fix)
    try:
        if state.step == UNDOING:
            _take_back(work)
        for _, server in servers(work.release, work.backup):
            server.drop(server.beside)
    except Exception as error:
        said = log.masked(_as_failure(error).said)
        log.write(f"{LOUD}\nTHE DATA OF BEFORE, OR THE APP WITH IT, DID NOT COME BACK: {said}")
        log.write(f"it is in {work.app.backups / state.aside}\n{LOUD}")
        return replace(
            _result(work.app, work.backup.name, RESTORE_FAILED, failure), restore_said=said
        )
    _clear_staged(work)
    log.write("the data is as it was before, and the app is verified with it")
    found = _result(work.app, work.backup.name, RESTORED, failure)
    return replace(found, restored=work.release.plan.id)


def _take_back(work: _Restore) -> None:
    _stop(work)
    for _, server in servers(work.release, work.backup):
        server.swap_back()
    for exchange in reversed(work.state.exchanges):
        exchange.take_back()
    activation.activate(work.release)
    work.remember(step=UNDONE)


def _keep(work: _Restore) -> None:
    """What was there stays, as files; a database is dumped, and dropped only then."""
    log, aside = work.release.log, work.app.backups / work.state.aside
    try:
        for item, server in servers(work.release, work.backup):
            if not server.has_aside():
                continue
            aside.mkdir(mode=0o700, exist_ok=True)
            target = aside / f"{item.service}.{server.aside}.dump"
            target.unlink(missing_ok=True)
            server.dump(target, _limit(work), database=server.aside)
            server.drop(server.aside)
    except (Failure, OSError) as problem:
        log.write(f"warning: the database of before stays beside the new one: {problem}")
    _clear_staged(work)
    log.write(f"the data of before is in {aside}; remove it when it is not needed any more")


def _stop(work: _Restore) -> None:
    """Everything that writes; database servers go on, their data is exchanged through them."""
    databases = {item.service for item in work.backup.manifest.items if item.kind == "postgres"}
    log = work.release.log
    project = f"label=com.docker.compose.project={work.release.plan.project}"
    words = ("docker", "ps", "--no-trunc", "--format", RUNNING, "--filter", project)
    listed = run(log, *words, seconds=60, what="docker ps", quiet=True)
    found = (line.split() for line in listed.splitlines())
    # By their labels: somebody may have started one of another profile by hand.
    writers = [container for container, *service in found if not databases & set(service)]
    if writers:
        what, limit = "stopping the app", STOP_S + 90
        run(log, "docker", "stop", "-t", str(STOP_S), *writers, seconds=limit, what=what)


def _clear_staged(work: _Restore) -> None:
    for exchange in work.state.exchanges:
        clear(Path(exchange.staged).parent)


def _limit(work: _Restore) -> float:
    plan = work.release.plan
    return float(plan.backup.limit_s if plan.backup else 1800)


def _running(app: AppPaths, log: Log) -> Release:
    if not app.current.exists():
        raise Failure(
            f"{app.home.name} has no verified release to restore data for",
            fix="release it first, then restore",
        )
    return Release.open(app, app.current.resolve().name, log)


def _new(backup: Stored) -> State:
    aside = f"before-restore-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    return State(backup.name, aside, manifest=backup.manifest)


def _begun(app: AppPaths) -> State | None:
    try:
        return from_json(State, json.loads(app.restoring.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _as_failure(error: Exception) -> Failure:
    return error if isinstance(error, Failure) else Failure(f"gpuhost itself failed: {error!r}")


def _result(app: AppPaths, name: str, state: str, failure: Failure | None = None) -> Result:
    return Result(
        id=name,
        app=app.home.name,
        kind="restore",
        state=state,
        by="",
        revision="",
        inputs="",
        started=0.0,
        ended=0.0,
        stage="restore",
        said=failure.said if failure else "",
        output=failure.output if failure else (),
        fix=failure.fix if failure else "",
        backup=name,
    )


def _audited(ended: Result) -> str:
    value = {key: one for key, one in asdict(ended).items() if key not in ("output", "logs")}
    return json.dumps(value, ensure_ascii=False)
