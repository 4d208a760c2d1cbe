"""A failed release: the previous release keeps running or is restored; the result has the cause."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace

import pytest

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Migrate
from gpuhost.runner.stages import transaction
from gpuhost.runner.stages.first_release import Existing
from gpuhost.runner.stages.transaction import run_transaction
from gpuhost.runner.state import journal, results
from gpuhost.runner.state.release import Release
from tests.runner.running import Cut
from tests.runner.transaction_fixtures import (
    ACTIVATING,
    ALL,
    NEW,
    OLD,
    PREPARING,
    Stages,
    a_release,
    current,
    with_old,
)


@pytest.mark.parametrize("failing", PREPARING[:-1])
def test_a_failure_before_any_change_does_not_touch_the_running_release(
    app: AppPaths, stages: Stages, failing: str
) -> None:
    with_old(app)
    stages.wrong[failing] = Failure("no space left on device", output=("line",), fix="free some")
    ended = run_transaction(a_release(app, NEW))
    assert stages.done == list(ALL[: ALL.index(failing) + 1])
    assert (ended.state, ended.stage, ended.said) == ("failed", failing, "no space left on device")
    assert (ended.output, ended.fix, ended.logs) == (("line",), "free some", ())
    assert (current(app), stages.afterwards) == (OLD, ["trim"])
    assert "warning: trim went wrong" in app.release(NEW).log.read_text()


@pytest.mark.parametrize("failing", ("migrate", *ACTIVATING))
def test_after_a_failure_past_the_first_change_the_previous_release_is_restored_and_verified(
    app: AppPaths, stages: Stages, failing: str
) -> None:
    with_old(app)
    stages.wrong[failing] = Failure("exited with 1")
    ended = run_transaction(a_release(app, NEW))
    assert stages.done[-1] == f"activate {OLD}"
    assert (ended.state, ended.stage, ended.restored) == ("restored", failing, OLD)
    assert ended.logs == ("app | the last line",)
    assert ended.migrated
    assert current(app) == OLD
    assert "is restored and verified" in app.release(NEW).log.read_text()


def test_a_migration_without_a_backup_is_not_reported_as_migrated(
    app: AppPaths, stages: Stages
) -> None:
    with_old(app)
    stages.wrong["up"] = Failure("exited with 1")
    release = a_release(app, NEW)
    release.plan = replace(release.plan, migrate=Migrate("migrate", without_backup=True))
    ended = run_transaction(release)
    assert (ended.state, ended.migrated) == ("restored", False)


def test_without_a_migration_its_stage_is_not_a_change(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    stages.wrong["migrate"] = Failure("impossible")
    assert run_transaction(a_release(app, NEW, migrates=False)).state == "failed"


@pytest.mark.parametrize("failing", ACTIVATING)
def test_a_failed_first_release_is_removed(app: AppPaths, stages: Stages, failing: str) -> None:
    stages.wrong[failing] = Failure("never healthy")
    ended = run_transaction(a_release(app, NEW))
    assert (ended.state, stages.done[-1], current(app)) == ("undone", f"undo {NEW}", None)
    assert (ended.replaced, ended.untouched) == ((), ())


def test_manually_started_containers_that_were_replaced_are_reported(
    app: AppPaths, stages: Stages
) -> None:
    stages.wrong["up"] = Failure("port taken")
    stages.left = Existing(("web-1: image web:1 (sha256:1)",), ("db-1",))
    ended = run_transaction(a_release(app, NEW))
    assert (ended.state, ended.replaced, ended.untouched) == ("undone", *vars(stages.left).values())
    log = app.release(NEW).log.read_text()
    assert "CONTAINERS STARTED BY HAND ARE GONE" in log
    assert "web-1: image web:1 (sha256:1)" in log
    assert "containers started by hand are unchanged: db-1" in log


def test_a_failed_rollback_has_a_clear_message(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    stages.wrong |= {"up": Failure("port taken"), f"activate {OLD}": Failure("port taken too")}
    ended = run_transaction(a_release(app, NEW))
    assert (ended.state, ended.restore_said) == ("restore-failed", "port taken too")
    assert "THE PREVIOUS RELEASE COULD NOT BE RESTORED" in app.release(NEW).log.read_text()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("plan.json", '{"format": 0}', "plan.json: format 0, this runner reads 1"),
        ("record.json", "{", "record.json is damaged"),
        ("../../generated.json", "{", "generated.json is damaged"),
        ("plan.json", None, "plan.json"),
    ],
)
def test_an_unreadable_previous_release_has_a_clear_message(
    app: AppPaths, stages: Stages, name: str, text: str | None, says: str
) -> None:
    with_old(app)
    release = a_release(app, NEW)
    damaged = app.release(OLD).home / name
    if text is None:
        shutil.rmtree(damaged.parent)
    else:
        damaged.write_text(text)
    stages.wrong["up"] = Failure("port taken")
    ended = run_transaction(release)
    assert (ended.state, ended.said) == ("restore-failed", "port taken")
    assert says in ended.restore_said
    assert "THE PREVIOUS RELEASE COULD NOT BE RESTORED" in release.paths.log.read_text()
    assert "gpuhost itself failed" not in ended.restore_said
    assert results.read(release.paths.result) == ended


def test_migration_and_directories_are_cleaned_up_before_the_previous_release_starts(
    app: AppPaths, stages: Stages
) -> None:
    """An error in the cleanup does not prevent the restore."""
    with_old(app)
    stages.wrong["migrate"] = Failure("the runner was interrupted 4 times")
    ended = run_transaction(a_release(app, NEW))
    assert (ended.state, stages.before_undoing) == (
        "restored",
        ["end of a migration", "directories"],
    )
    assert "warning: directories went wrong" in app.release(NEW).log.read_text()


@pytest.mark.parametrize("broken", ("draft", "logs", "journal", "record"))
def test_a_full_disk_does_not_prevent_the_restore(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    with_old(app)
    release = a_release(app, NEW)
    stages.wrong["up"] = Failure("no space left on device")

    def full(*_: object, **__: object) -> None:
        if stages.done[-1:] == ["up"]:
            raise OSError(errno.ENOSPC, "No space left on device")

    place = {
        "draft": (results, "write_draft"),
        "logs": (transaction, "logs"),
        "journal": (journal, "append"),
        "record": (Release, "remember"),
    }
    monkeypatch.setattr(*place[broken], full)
    ended = run_transaction(release)
    assert (ended.state, ended.said) == ("restored", "no space left on device")
    assert stages.done[-1] == f"activate {OLD}"


def test_an_internal_error_restores_the_previous_release(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    stages.wrong["verify"] = KeyError("services")
    ended = run_transaction(a_release(app, NEW))
    assert ended.state == "restored"
    assert "gpuhost itself failed: KeyError('services')" in ended.said


def test_an_internal_error_of_a_text_does_not_tell_the_text(app: AppPaths, stages: Stages) -> None:
    """A secret of a damaged file, which nothing masks."""
    with pytest.raises(UnicodeEncodeError) as raised:
        "s3cret-\ud800".encode()
    stages.wrong["verify"] = raised.value
    ended = run_transaction(a_release(app, NEW))
    assert "UnicodeEncodeError: 'utf-8' codec" in ended.said and "s3cret" not in ended.said


def test_an_interrupted_undo_continues_and_knows_the_cause(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    stages.wrong |= {"verify": Failure("GPU not used"), f"activate {OLD}": Cut()}
    with pytest.raises(Cut):
        run_transaction(a_release(app, NEW))
    stages.wrong.clear()
    stages.done.clear()
    ended = run_transaction(Release.open(app, NEW))
    assert stages.done == [f"activate {OLD}"]
    assert (ended.state, ended.stage, ended.said) == ("restored", "verify", "GPU not used")
