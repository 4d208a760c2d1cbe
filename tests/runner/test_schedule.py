"""Backup timers and log rotation: written once, changed with the app, removed if not declared."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.data import schedule
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, Logs
from tests.runner.host_fixtures import NEW, OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

DAILY = Backup(paths=("data",), every="*-*-* 03:30", limit_s=600)
UNIT, ROTATION = "gpuhost-backup-app", "gpuhost-rotate-app"
OLD_ROTATION = "gpuhost-logrotate-app"


class Host:
    def __init__(self, tmp_path: Path) -> None:
        self.units = tmp_path / "units"
        self.units.mkdir()
        self.home = tmp_path / "app"

    @property
    def files(self) -> list[str]:
        states = (self.home / name for name in ("rotation.json", "logrotate"))
        found = (*self.units.iterdir(), *(path for path in states if path.exists()))
        return sorted(path.name for path in found)


@pytest.fixture
def here(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(schedule, "UNITS", made.units)
    for name in ("systemctl", "systemd-analyze"):
        programs.answer(f"{name} nothing")
    programs.answer(f"systemctl start {ROTATION}.service", then=a_run(tmp_path / "app"))
    return made


def a_run(home: Path) -> str:
    """What a run of the rotation leaves."""
    return f"echo {{}} >{home}/rotation.json"


def changing(programs: Programs) -> list[str]:
    asking = ("is-enabled", "is-active")
    return [line for line in programs.called("systemctl") if not any(a in line for a in asking)]


def test_a_scheduled_backup_has_a_timer(app: App, programs: Programs, here: Host) -> None:
    schedule.install(app.release(backup=DAILY))
    assert here.files == [f"{UNIT}.service", f"{UNIT}.timer"]
    service = (here.units / f"{UNIT}.service").read_text()
    timer = (here.units / f"{UNIT}.timer").read_text()
    home = app.paths.home
    command = f"/usr/bin/python3 -I {home}/runner.pyz backup {home}"
    assert f"ExecStart={command}\n" in service
    # It waits as long as it may take: 600 s each.
    assert "TimeoutStartSec=4800\n" in service
    for line in ("OnCalendar=*-*-* 03:30", "RandomizedDelaySec=15min", "Persistent=true"):
        assert f"{line}\n" in timer
    assert changing(programs) == [
        f"systemctl enable --root=/ --quiet {UNIT}.timer",
        f"systemctl restart {UNIT}.timer",
    ], "a reload would take the cards from running containers"


def test_a_changed_timer_is_loaded_again(app: App, programs: Programs, here: Host) -> None:
    schedule.install(app.release(OLD, backup=DAILY))
    before = len(changing(programs))
    schedule.install(app.release(NEW, backup=replace(DAILY, every="weekly")))
    assert changing(programs)[before:] == [
        "systemctl daemon-reload",
        f"systemctl enable --root=/ --quiet {UNIT}.timer",
        f"systemctl restart {UNIT}.timer",
    ]


def test_a_systemd_that_does_not_look_for_new_files_is_reloaded(
    app: App, programs: Programs, here: Host
) -> None:
    loaded = here.units / "loaded"
    programs.answer("systemctl daemon-reload", then=f"touch {loaded}")
    programs.answer("systemctl restart *", then=f"[ -e {loaded} ] || exit 5")
    schedule.install(app.release(backup=DAILY))
    restart = f"systemctl restart {UNIT}.timer"
    assert changing(programs)[-3:] == [restart, "systemctl daemon-reload", restart]


def test_an_unchanged_declaration_changes_nothing(app: App, programs: Programs, here: Host) -> None:
    app.data("logs/a.log")
    declared: dict[str, Any] = {"backup": DAILY, "logs": Logs(("logs/*.log",))}
    schedule.install(app.release(OLD, **declared))
    assert here.files == [
        *(f"{UNIT}.service", f"{UNIT}.timer", f"{ROTATION}.service", f"{ROTATION}.timer"),
        "rotation.json",
    ]
    assert changing(programs)[-1] == f"systemctl start {ROTATION}.service"
    before = changing(programs)
    schedule.install(app.release(NEW, **declared))
    assert changing(programs) == before


def test_a_stopped_timer_is_started(app: App, programs: Programs, here: Host) -> None:
    schedule.install(app.release(OLD, backup=DAILY))
    before = len(changing(programs))
    programs.answer("systemctl is-active *", status=3)
    schedule.install(app.release(NEW, backup=DAILY))
    assert changing(programs)[before:] == [
        f"systemctl enable --root=/ --quiet {UNIT}.timer",
        f"systemctl restart {UNIT}.timer",
    ]


@pytest.mark.parametrize("backup", [None, Backup(paths=("data",))])
def test_units_that_are_no_longer_declared_are_removed(
    app: App, programs: Programs, here: Host, backup: Backup | None
) -> None:
    app.data("logs/a.log")
    schedule.install(app.release(OLD, backup=DAILY, logs=Logs(("logs/*.log",))))
    schedule.install(app.release(NEW, backup=backup))
    assert here.files == []
    assert f"systemctl disable --now --no-reload --quiet {UNIT}.timer" in programs.calls
    assert programs.calls[-1] == "systemctl daemon-reload"


def test_without_declarations_nothing_changes(app: App, programs: Programs, here: Host) -> None:
    schedule.install(app.release())
    assert (here.files, changing(programs)) == ([], [])


def test_all_units_can_be_removed(app: App, programs: Programs, here: Host) -> None:
    app.data("logs/a.log")
    release = app.release(backup=DAILY, logs=Logs(("logs/*.log",)))
    schedule.install(release)
    schedule.remove(release)
    assert here.files == []


def test_systemd_validates_the_schedule(app: App, programs: Programs, here: Host) -> None:
    schedule.check(app.release(OLD, backup=DAILY))
    assert programs.called("systemd-analyze") == ["systemd-analyze calendar -- *-*-* 03:30"]
    schedule.check(app.release("20260103-000000-c"))
    assert len(programs.called("systemd-analyze")) == 1


def test_a_schedule_with_a_newline_is_refused(app: App, programs: Programs, here: Host) -> None:
    bad = Backup(paths=("data",), every="daily\nExecStart=/bin/false")
    with pytest.raises(Failure, match="not a time that systemd accepts"):
        schedule.check(app.release(backup=bad))


def test_logs_are_rotated_by_the_runner(app: App, programs: Programs, here: Host) -> None:
    schedule.install(app.release(logs=Logs(("logs/*.log",))))
    home, service = app.paths.home, here.units / f"{ROTATION}.service"
    assert f"ExecStart=/usr/bin/python3 -I {home}/runner.pyz rotate {home}\n" in service.read_text()
    assert here.files == [f"{ROTATION}.service", f"{ROTATION}.timer", "rotation.json"]


def of_an_older_gpuhost(app: App, here: Host) -> None:
    """One that used logrotate, or that had its name."""
    for name in ("conf", "group", "passwd", "state", "state.json"):
        (app.paths.home / "logrotate").mkdir(exist_ok=True)
        (app.paths.home / "logrotate" / name).write_text("{}")
    for ending in ("service", "timer"):
        (here.units / f"{OLD_ROTATION}.{ending}").write_text("[Unit]\n")


@pytest.mark.parametrize("patterns", [("logs/*.log",), ()])
def test_the_timer_of_an_older_gpuhost_is_replaced_or_removed(
    app: App, programs: Programs, here: Host, patterns: tuple[str, ...]
) -> None:
    of_an_older_gpuhost(app, here)
    schedule.install(app.release(logs=Logs(patterns)))
    now = [f"{ROTATION}.service", f"{ROTATION}.timer", "rotation.json"]
    assert here.files == (now if patterns else [])
    disabled = f"systemctl disable --now --no-reload --quiet {OLD_ROTATION}.timer"
    assert changing(programs)[0] == disabled


def test_an_app_of_an_older_gpuhost_can_be_removed(
    app: App, programs: Programs, here: Host
) -> None:
    of_an_older_gpuhost(app, here)
    schedule.remove(app.release())
    assert here.files == []


def test_until_the_new_timer_works_the_old_times_stay(
    app: App, programs: Programs, here: Host
) -> None:
    of_an_older_gpuhost(app, here)
    programs.answer("systemctl start *", status=1)
    with pytest.raises(Failure, match="not rotated"):
        schedule.install(app.release(logs=Logs(("logs/*.log",))))
    assert here.files == [f"{ROTATION}.service", f"{ROTATION}.timer", "logrotate"]


def test_a_wildcard_in_a_directory_of_an_old_plan_has_no_job(
    app: App, programs: Programs, here: Host
) -> None:
    release = app.release(logs=Logs(("logs/*/*.log", "lo[g]s/a.log")))
    schedule.install(release)
    assert here.files == []
    assert "logs/*/*.log: not rotated: a directory with a wildcard" in release.paths.log.read_text()


def test_a_failed_rotation_is_reported_and_repeated_by_the_next_release(
    app: App, programs: Programs, here: Host
) -> None:
    app.data("logs/a.log")
    logs = Logs(("logs/*.log",))
    programs.answer("systemctl start *", status=1)
    with pytest.raises(Failure, match="not rotated"):
        schedule.install(app.release(OLD, logs=logs))
    programs.answer(f"systemctl start {ROTATION}.service", then=a_run(app.paths.home))
    before = len(changing(programs))
    schedule.install(app.release(NEW, logs=logs))
    assert changing(programs)[before:] == [f"systemctl start {ROTATION}.service"]


def test_a_backup_that_takes_hours_may_wait_as_long_first(app: App, here: Host) -> None:
    schedule.install(app.release(backup=replace(DAILY, limit_s=20_000)))
    service = (here.units / f"{UNIT}.service").read_text()
    (limit,) = re.findall(r"TimeoutStartSec=(\d+)", service)
    assert int(limit) > 2 * 20_000
