"""Backup timers and log rotation: written once, changed with the app, removed if not declared."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.data import logrotate, schedule
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, Directory, Logs
from tests.runner.host_fixtures import NEW, OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

DAILY = Backup(paths=("data",), every="*-*-* 03:30", limit_s=600)
UNIT, ROTATION = "gpuhost-backup-app", "gpuhost-logrotate-app"


class Host:
    def __init__(self, tmp_path: Path) -> None:
        self.units = tmp_path / "units"
        self.units.mkdir()
        self.rotation = tmp_path / "app/logrotate"

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in (*self.units.iterdir(), *self.rotation.glob("*")))


@pytest.fixture
def here(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(schedule, "UNITS", made.units)
    monkeypatch.setattr(logrotate, "PROGRAM", programs.directory / "logrotate")
    for name in ("systemctl", "logrotate", "systemd-analyze"):
        programs.answer(f"{name} nothing")
    return made


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
    assert "TimeoutStartSec=7800\n" in service
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
        *("conf", f"{UNIT}.service", f"{UNIT}.timer"),
        *(f"{ROTATION}.service", f"{ROTATION}.timer", "group", "passwd"),
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


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change the owner of a directory")
def test_logs_are_rotated_as_the_owner_of_their_directory(app: App) -> None:
    shared = app.paths.shared
    app.data("logs/web/a.log")
    app.data("other/b.log")
    os.chown(shared / "logs/web", 1001, 1002)
    os.chown(shared / "logs", 1001, 1001)
    logs = Logs(("logs/web/*.log", "logs/*/x.log", "other/b.log", "later/*.log"), 10, 3)
    no_login = "::/:/usr/sbin/nologin"
    assert logrotate.files(app.release(logs=logs)) == {
        "conf": "# Logs of app; its releases write this file.\n"
        + block(f'"{shared}/later/*.log" "{shared}/other/b.log"', "root root")
        + block(f'"{shared}/logs/*/x.log"', "app1001 app1001")
        + block(f'"{shared}/logs/web/*.log"', "app1001 app1002"),
        "passwd": f"root:x:0:0{no_login}\napp1001:x:1001:1002{no_login}\n",
        "group": "root:x:0:\napp1001:x:1001:\napp1002:x:1002:\n",
    }


def block(files: str, owner: str) -> str:
    return (
        f"{files} {{\n    daily\n    maxsize 10M\n    rotate 3\n    nodateext\n    copytruncate\n"
        f"    missingok\n    notifempty\n    compress\n    su {owner}\n}}\n"
    )


def test_a_failed_rotation_is_reported_and_repeated_by_the_next_release(
    app: App, programs: Programs, here: Host
) -> None:
    app.data("logs/a.log")
    logs = Logs(("logs/*.log",))
    programs.answer("systemctl start *", status=1)
    with pytest.raises(Failure, match="not rotated"):
        schedule.install(app.release(OLD, logs=logs))
    programs.answer("systemctl start *")
    before = len(changing(programs))
    schedule.install(app.release(NEW, logs=logs))
    assert changing(programs)[before:] == [f"systemctl start {ROTATION}.service"]
    assert "conf" in here.files


def test_logrotate_is_not_installed(app: App, programs: Programs, here: Host) -> None:
    app.data("logs/a.log")
    (programs.directory / "logrotate").unlink()
    with pytest.raises(Failure, match="logrotate is not installed"):
        schedule.install(app.release(logs=Logs(("logs/*.log",))))
    assert here.files == []


def test_a_quote_in_a_path_is_refused(app: App) -> None:
    app.paths.shared.mkdir()
    with pytest.raises(Failure, match="quotes, backslashes"):
        logrotate.files(app.release(directories=(Directory("data"),), logs=Logs(('a"b/*.log',))))
