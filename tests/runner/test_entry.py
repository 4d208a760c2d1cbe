"""The runner's commands: their exit statuses, and interrupted operations that they finish first."""

from __future__ import annotations

import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from gpuhost.rollout.deliver import resume_unit_text
from gpuhost.runner.contract import RESTORE_FAILED, RESTORED, VERIFIED, Operation, Result
from gpuhost.runner.data import timer_units
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, BadPlan, Logs
from gpuhost.runner.stages import carry_out
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.state import results, transitions
from gpuhost.runner.state.journal import START, Journal
from gpuhost.runner.state.lock import lock
from gpuhost.runner.state.operations import begin
from gpuhost.runner.state.release import Release
from tests.runner.ended_result import result_of
from tests.runner.host_fixtures import NEW, OLD, App, app, unreadable
from tests.runner.running import run_runner

__all__ = ["app"]

Run = Callable[..., int]


class Transactions:
    """The transactions that ran, and the errors that they raise."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.kept: list[str] = []
        self.wrong: dict[str, Exception] = {}

    def run(self, release: Release) -> Result:
        self.ids.append(release.plan.id)
        if release.plan.id in self.wrong:
            raise self.wrong[release.plan.id]
        results.store(release.app, result_of(release))
        return result_of(release)


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> Transactions:
    made = Transactions()
    monkeypatch.setattr(carry_out, "run_transaction", made.run)
    monkeypatch.setattr(carry_out, "follow_up", lambda release: made.kept.append(release.plan.id))
    return made


@pytest.fixture
def run(app: App, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(verb: str, *arguments: str) -> int:
        return run_runner(monkeypatch, app.paths.home, verb, *arguments)

    return run


@pytest.fixture
def a_backup_ends(app: App) -> Iterator[None]:
    """Holds the lock for a moment, without an operation: a backup."""
    has_lock = threading.Event()

    def hold() -> None:
        with lock(app.paths):
            has_lock.set()
            threading.Event().wait(0.5)

    holder = threading.Thread(target=hold)
    holder.start()
    assert has_lock.wait(60)
    yield
    holder.join()


@pytest.mark.usefixtures("a_backup_ends")
def test_a_release_waits_for_a_backup_and_logs_it(
    app: App, run: Run, transactions: Transactions
) -> None:
    release = app.release(NEW)
    assert run("release", NEW) == 0
    assert transactions.ids == [NEW]
    assert "== wait for a backup" in release.paths.log.read_text()


@pytest.mark.usefixtures("a_backup_ends")
def test_resume_waits_for_a_backup(app: App, run: Run, transactions: Transactions) -> None:
    app.release(NEW)
    begin(app.paths, Operation("release", NEW, "ada@desk", 0.0))
    assert run("resume") == 0
    assert (transactions.ids, app.paths.attempt.exists()) == ([NEW], False)


def test_a_second_release_is_refused_and_names_the_first(
    app: App, run: Run, transactions: Transactions, capsys: pytest.CaptureFixture[str]
) -> None:
    app.release(NEW)
    begin(app.paths, Operation("release", OLD, "ada@desk", 0.0))
    with lock(app.paths):
        assert run("release", NEW) == 4
    assert f"locked by release {OLD} by ada@desk" in capsys.readouterr().err
    assert transactions.ids == []


@pytest.mark.parametrize(
    ("state", "is_under_way", "kept"),
    [(VERIFIED, True, [NEW]), (RESTORED, True, []), (VERIFIED, False, [])],
)
def test_interrupted_after_its_result_a_release_finishes_its_last_steps(
    app: App, run: Run, transactions: Transactions, state: str, is_under_way: bool, kept: list[str]
) -> None:
    release = app.release(NEW)
    results.store(release.app, result_of(release, state))
    if is_under_way:
        begin(app.paths, Operation("release", NEW, "ada@desk", 0.0))
    assert run("release", NEW) == (0 if state == VERIFIED else 1)
    assert (transactions.kept, transactions.ids, app.paths.attempt.exists()) == (kept, [], False)


def test_a_release_gets_the_next_number_when_it_begins(
    app: App, run: Run, transactions: Transactions
) -> None:
    app.release(OLD).remember(sequence=7)
    app.release(NEW)
    assert run("release", NEW) == 0
    assert Release.open(app.paths, NEW).record.sequence == 8
    (app.paths.release(NEW).result).unlink()
    assert run("release", NEW) == 0
    assert Release.open(app.paths, NEW).record.sequence == 8


ELSEWHERE = ("..", ".", "../../other", "/abs", "20260101-000000-a/..", "a\n", "")


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize(
    "words",
    [
        ("restore", "{}", "--by", "ann"),
        ("release", "{}"),
        ("rollback", "{}", "--to", OLD, "--by", "ann"),
        ("rollback", NEW, "--to", "{}", "--by", "ann"),
        ("follow", "{}", "0", "0"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(
    app: App, run: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], name: str
) -> None:
    other = app.paths.home.with_name("other")
    other.mkdir()
    app.data("x")
    with pytest.raises(SystemExit) as ended:
        run(*(word.format(name) for word in words))
    assert ended.value.code == Exit.USAGE
    assert f"{name!r} is not the id of a release or of a backup" in capsys.readouterr().err
    assert list(other.iterdir()) == []
    assert [path.name for path in app.paths.home.iterdir()] == ["shared"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_operation_begins_with_a_name_that_leads_elsewhere(app: App, name: str) -> None:
    with pytest.raises(Failure, match="is not the id"):
        begin(app.paths, Operation("restore", name, "ann", 0.0))
    assert not app.paths.attempt.exists()


def of_another_format(release: Release) -> None:
    plan = release.paths.plan
    plan.write_text(plan.read_text().replace('"format": 1', '"format": 0'))


def with_a_damaged_record(release: Release) -> None:
    release.paths.record.write_text('{"images": ')


def with_a_record_of_wrong_types(release: Release) -> None:
    release.paths.record.write_text('{"images": 7}')


@pytest.mark.parametrize(
    "damage", [of_another_format, with_a_damaged_record, with_a_record_of_wrong_types]
)
def test_an_interrupted_release_that_cannot_be_opened_is_abandoned_with_a_clear_message(
    app: App, run: Run, transactions: Transactions, damage: Callable[[Release], None]
) -> None:
    interrupted = app.release(OLD)
    damage(interrupted)
    begin(app.paths, Operation("release", OLD, "ada@desk", 7.0))
    app.release(NEW)
    assert run("release", NEW) == 0
    assert (transactions.ids, app.paths.attempt.exists()) == ([NEW], False)
    result = results.read(interrupted.paths.result)
    assert result
    assert (result.state, result.by, result.started) == (RESTORE_FAILED, "ada@desk", 7.0)
    assert "COULD NOT BE FINISHED OR UNDONE" in interrupted.paths.log.read_text()
    assert OLD in app.paths.history.read_text()


@pytest.mark.parametrize("file", ["plan.json", "record.json", "result.json"])
def test_an_interrupted_release_that_the_disk_cannot_read_is_not_abandoned(
    app: App, run: Run, transactions: Transactions, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    release = app.release(OLD)
    begin(app.paths, Operation("release", OLD, "ada@desk", 7.0))
    with monkeypatch.context() as patched:
        unreadable(patched, release.paths.home / file)
        assert run("resume") == Exit.UNFORESEEN
    assert (transactions.ids, results.read(release.paths.result)) == ([], None)
    assert run("resume") == Exit.GOOD
    assert transactions.ids == [OLD]


def test_a_finished_release_that_cannot_be_opened_keeps_its_result(
    app: App, run: Run, transactions: Transactions
) -> None:
    interrupted = app.release(OLD)
    results.store(interrupted.app, result_of(interrupted))
    of_another_format(interrupted)
    begin(app.paths, Operation("release", OLD, "ada@desk", 7.0))
    assert run("resume") == 0
    assert results.read(interrupted.paths.result) == result_of(interrupted)
    assert not app.paths.attempt.exists()


@pytest.mark.parametrize(
    ("wrong", "starts", "status"),
    [
        (BadPlan("what is wrong: format 0"), 1, 3),
        (TypeError("what is wrong"), 1, Exit.UNFORESEEN),
        (TypeError("what is wrong"), 5, 3),
        (OSError("what is wrong"), 99, Exit.UNFORESEEN),
    ],
)
def test_a_permanent_error_is_abandoned_and_a_temporary_one_is_retried(
    app: App, run: Run, transactions: Transactions, wrong: Exception, starts: int, status: int
) -> None:
    release = app.release(NEW)
    transactions.wrong[NEW] = wrong
    for _ in range(starts):
        Journal(release.paths.journal).note(START)
    assert run("release", NEW) == status
    result = results.read(release.paths.result)
    is_over = status == 3
    assert (result is not None, app.paths.attempt.exists()) == (is_over, not is_over)
    if result:
        assert (result.state, "what is wrong" in result.said) == (RESTORE_FAILED, True)


# Statuses after which systemd does not restart a runner: runner.sh, gpuhost-resume@.service.
FINAL = {1, 2, 3, 4}


def test_systemd_restarts_the_runner_after_an_unexpected_error(
    app: App, run: Run, transactions: Transactions, capsys: pytest.CaptureFixture[str]
) -> None:
    app.release(NEW)
    transactions.wrong[NEW] = OSError(28, "No space left on device")
    assert run("release", NEW) not in {0, *FINAL}
    assert "No space left on device" in capsys.readouterr().err
    assert app.paths.attempt.exists()
    script = files("gpuhost.remote").joinpath("runner.sh").read_text("utf-8")
    statuses = " ".join(map(str, sorted(FINAL)))
    assert f'RestartPreventExitStatus="{statuses}"' in script
    assert f"RestartPreventExitStatus={statuses}\n" in resume_unit_text()


def test_the_runner_has_limits_of_memory_and_of_restarts() -> None:
    script = files("gpuhost.remote").joinpath("runner.sh").read_text("utf-8")
    for name, value in (("MemoryMax", "50%"), ("StartLimitBurst", "12")):
        assert f" -p {name}={value} " in script
        assert f"\n{name}={value}\n" in resume_unit_text()
    assert "\nRuntimeMaxSec=" in resume_unit_text()
    assert "\nMemoryMax=50%" in timer_units.IN_BACKGROUND


def test_a_backup_that_was_not_taken_fails(
    app: App, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    app.release(OLD, backup=Backup(paths=("data",), limit_s=0), is_current=True)
    begin(app.paths, Operation("release", NEW, "ada@desk", 0.0))
    assert run("backup") == 4
    said = capsys.readouterr().err
    assert f"no backup was made: interrupted, and not continued: release {NEW} by ada@desk" in said
    assert f"-> {transitions.FIRST_END_IT}" in said


def test_log_files_are_rotated(app: App, run: Run) -> None:
    large = "x" * ((1 << 20) + 1)
    log = app.data("logs/a.log", large)
    app.release(OLD, logs=Logs(("logs/a.log",), 1, keep=1), is_current=True)
    assert (run("rotate"), log.read_text()) == (0, "")
    log.write_text(large)
    log.with_name("a.log.1.gz").unlink()
    log.with_name("a.log.1.gz").mkdir()
    assert (run("rotate"), log.read_text()) == (1, large)


@pytest.mark.parametrize(
    ("verb", "name", "make"),
    [("resume", "lock", Path.mkdir), ("backup", "backups", Path.touch)],
)
def test_the_advice_to_move_a_path_aside_overwrites_nothing(
    app: App,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    name: str,
    make: Callable[[Path], None],
) -> None:
    app.release(OLD, is_current=True, backup=Backup(paths=("data",)))
    app.data("data/x")
    path = app.paths.home / name
    earlier = path.with_name(f"{name}.damaged")
    earlier.write_text("earlier")
    make(path)
    assert run(verb) == Exit.FAILED
    said = capsys.readouterr().err
    subprocess.run(shlex.split(said[said.index("mv ") :].splitlines()[0]), check=True)
    assert earlier.read_text() == "earlier"
    assert path.with_name(f"{name}.damaged.2").exists()
    assert run(verb) == Exit.GOOD
