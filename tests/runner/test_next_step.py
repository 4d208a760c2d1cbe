"""Whatever fails, the person who reads of it also reads the next step."""

from __future__ import annotations

import errno

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.stages.transaction import refuse
from gpuhost.runner.state import transitions
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, app, programs
from tests.runner.restore_fixtures import activated
from tests.runner.running import run_runner
from tests.runner.unfinished_host import Host, host, interrupted_release

__all__ = ["activated", "app", "host", "programs"]


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.ENOSPC, "df -h /opt"),
        (errno.EDQUOT, "df -h /opt"),
        (errno.EIO, "journalctl -k"),
        (errno.EROFS, "journalctl -k"),
    ],
)
def test_a_fault_of_the_disk_is_told_with_the_path(
    app: App,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    step: str,
) -> None:
    app.release(is_current=True)

    def begin(*_: object) -> None:
        raise OSError(number, "no luck", str(app.paths.attempt))

    monkeypatch.setattr("gpuhost.runner.stages.carry_out.begin", begin)
    assert run_runner(monkeypatch, app.paths.home, "release", NEW) == Exit.UNFORESEEN
    said, advice = capsys.readouterr().err.splitlines()
    assert said == f"'{app.paths.attempt}': no luck"
    assert advice.startswith("-> ")
    assert step in advice


def test_a_refusal_without_a_next_step_has_no_line_for_it(app: App) -> None:
    app.release()
    release = Release.open(app.paths, NEW)
    refuse(release, Failure("no"))
    assert release.paths.log.read_text().rstrip().endswith(" no")


def test_the_log_of_a_backup_that_waited_in_vain_has_the_next_step(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted_release(host)
    assert host.verb(transitions.BACKUP) == Exit.LOCKED
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == f"-> {transitions.FIRST_END_IT}"
    log = (host.app.paths.backups / "last.log").read_text()
    assert all(line in log for line in told)
