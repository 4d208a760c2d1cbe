"""Removing an app from a host: what gpuhost created is removed, data of the app is kept."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpuhost.runner import __main__ as program
from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import schedule
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.plan import Nginx
from gpuhost.runner.site import certificates
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.stages.removal import remove
from gpuhost.runner.state import operations
from tests.runner.host_fixtures import NEW, OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

TAGS = "gpuhost/app/web:aaaaaaaaaaaa\ngpuhost/app/db:bbbbbbbbbbbb\n"


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    units = tmp_path / "units"
    units.mkdir()
    monkeypatch.setattr(schedule, "UNITS", units)
    monkeypatch.setattr(certificates, "LIVE", tmp_path / "live")
    return units


@pytest.fixture
def installed(app: App, programs: Programs, units: Path, tmp_path: Path) -> App:
    """An app with two releases, a site and a scheduled backup."""
    site, tls = tmp_path / "sites" / "gpuhost-app.conf", tmp_path / "tls" / "app"
    app.release(OLD)
    app.release(
        NEW,
        is_current=True,
        given={"A": "secret"},
        nginx=Nginx("host", path=str(site), certificate="files", certificate_dir=str(tls)),
    )
    app.data("data/app.db", "rows")
    for path in (site, tls / "privkey.pem", app.paths.git / "HEAD", app.paths.docker / "config"):
        path.parent.mkdir(parents=True)
        path.write_text("made")
    write_json(app.paths.home / "nginx.json", {"path": str(site), "loaded": "x"})
    write_json(app.paths.generated, {"B": "made"}, mode=0o600)
    (app.paths.backups / "20260101-000000-schedule").mkdir(parents=True)
    (app.paths.home / "notes").write_text("of a person")
    for ending in ("service", "timer"):
        (units / f"gpuhost-backup-app.{ending}").write_text("[Unit]\n")
        (units / f"gpuhost-backup-other.{ending}").write_text("[Unit]\n")
    programs.answer("docker image ls *", TAGS)
    programs.answer("docker volume ls *", "app_db\n")
    programs.answer("systemctl *")
    programs.answer("nginx *")
    return app


def test_created_files_are_removed_and_data_is_kept(
    installed: App, programs: Programs, units: Path, tmp_path: Path
) -> None:
    said = remove(installed.paths, "ada@desk")
    names = {path.name for path in installed.paths.home.iterdir()}
    assert names == {"backups", "generated.json", "history.jsonl", "notes", "remove.log", "shared"}
    assert (installed.paths.shared / "data/app.db").read_text() == "rows"
    assert (installed.paths.backups / "20260101-000000-schedule").is_dir()
    assert not (tmp_path / "sites" / "gpuhost-app.conf").exists()
    assert not (tmp_path / "tls" / "app").exists()
    assert {path.name for path in units.iterdir()} == {
        "gpuhost-backup-other.service",
        "gpuhost-backup-other.timer",
    }
    text = "\n".join(said)
    assert "containers and networks of app, site, timers, releases, and 2 image tags" in text
    for command in (
        f"rm -r {installed.paths.shared}",
        f"rm -r {installed.paths.backups}",
        f"rm -r {installed.paths.generated}",
        "docker volume rm app_db",
    ):
        assert command in text
    (line,) = map(json.loads, installed.paths.history.read_text().splitlines())
    assert (line["kind"], line["by"], line["state"]) == ("remove", "ada@desk", "removed")


def test_each_thing_that_is_kept_is_named_with_the_command_that_deletes_it(
    installed: App, programs: Programs, tmp_path: Path
) -> None:
    home = installed.paths.home
    disk = tmp_path / "a disk" / ".gpuhost-before-restore-20260101-000000-app-1"
    for path in (home / "restore.unread", home / "restore.unread.2", disk):
        path.mkdir(parents=True)
        (path / "file").write_text("maybe the only copy")
    (home / "history.jsonl.damaged").write_text("of a person too")
    link = installed.paths.backups / "before-restore-20260101-000000" / disk.name[1:]
    link.parent.mkdir()
    link.symlink_to(disk)
    commands = [
        command
        for line in remove(installed.paths, "ada@desk")
        if (command := line.partition("any more: ")[2]).startswith("rm -r ")
    ]
    assert len(commands) == 7
    for command in commands:
        subprocess.run(["sh", "-ec", command], check=True)
    names = {path.name for path in home.iterdir()}
    assert (names, disk.exists()) == ({"history.jsonl", "notes", "remove.log"}, False)


def test_no_command_touches_volumes_or_other_apps(installed: App, programs: Programs) -> None:
    remove(installed.paths, "ada@desk")
    assert "docker compose -p app down --remove-orphans" in programs.calls
    assert [line.split()[-1] for line in programs.called("image rm")] == [
        "gpuhost/app/db:bbbbbbbbbbbb",
        "gpuhost/app/web:aaaaaaaaaaaa",
    ]
    for line in programs.calls:
        words = line.split()
        assert not {"-v", "--volumes", "--force", "-f", "prune"} & set(words), line
        assert "volume rm" not in line
    assert programs.called("disable") == [
        "systemctl disable gpuhost-resume@app.service",
        "systemctl disable --now --no-reload --quiet gpuhost-backup-app.timer",
    ]


def test_a_second_removal_changes_nothing(installed: App, programs: Programs) -> None:
    remove(installed.paths, "ada@desk")
    calls, history = programs.calls, installed.paths.history.read_text()
    assert remove(installed.paths, "ada@desk") == []
    assert (programs.calls, installed.paths.history.read_text()) == (calls, history)


def test_removing_an_unknown_app_creates_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "nobody"
    monkeypatch.setattr("sys.argv", ["runner", "remove", str(home), "--by", "me"])
    assert program.main() == Exit.GOOD
    assert not home.exists()
    assert capsys.readouterr().out == ""


def test_a_removal_that_waited_for_another_one_leaves_nothing_behind(
    installed: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def after_another(app: AppPaths, **_: object) -> Iterator[None]:
        remove(app, "bob")
        yield

    monkeypatch.setattr(program, "lock", after_another)
    monkeypatch.setattr("sys.argv", ["runner", "remove", str(installed.paths.home), "--by", "me"])
    assert program.main() == Exit.GOOD
    assert not installed.paths.attempt.exists()
    assert not installed.paths.releases.exists()


def test_if_compose_down_fails_nothing_is_deleted(installed: App, programs: Programs) -> None:
    programs.answer("docker compose * down *", status=1, err="permission denied\n")
    with pytest.raises(Failure, match="docker compose down failed") as raised:
        remove(installed.paths, "ada@desk")
    assert raised.value.output == ("permission denied",)
    assert installed.paths.current.exists()
    # A second run continues.
    programs.answer("docker compose * down *")
    assert remove(installed.paths, "ada@desk")
    assert not installed.paths.releases.exists()


def test_a_remaining_container_fails(installed: App, programs: Programs) -> None:
    programs.answer("docker ps *", "4711\n")
    with pytest.raises(Failure, match="containers of app still exist"):
        remove(installed.paths, "ada@desk")
    assert installed.paths.releases.is_dir()


def test_an_unfinished_restore_prevents_removal(
    installed: App,
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    installed.paths.restore.mkdir()
    write_json(installed.paths.restoring, {"backup": "x"})
    monkeypatch.setattr("sys.argv", ["runner", "remove", str(installed.paths.home), "--by", "me"])
    assert program.main() == Exit.FAILED
    assert "the state of a restore cannot be read" in capsys.readouterr().err
    assert programs.calls == []


def test_restores_that_were_set_aside_are_named(installed: App) -> None:
    """Also those of an earlier gpuhost."""
    names = ("restore.damaged", "restore.damaged.2", "restore.unread")
    for name in names:
        (installed.paths.home / name).mkdir()
    said = remove(installed.paths, "ada@desk")
    for name in names:
        (line,) = (line for line in said if line.endswith(f"/{name}"))
        assert "maybe the only copy" in line
        assert (installed.paths.home / name).is_dir()


def test_a_release_that_arrives_meanwhile_stays(
    installed: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = operations.end

    def arrive(app: AppPaths) -> None:
        end(app)
        (app.releases / ".x.new").mkdir()

    with monkeypatch.context() as patched:
        patched.setattr(operations, "end", arrive)
        with pytest.raises(Failure, match="a release has arrived"):
            remove(installed.paths, "ada@desk")
    assert (installed.paths.releases / ".x.new").is_dir()
    assert remove(installed.paths, "ada@desk")
    assert not installed.paths.releases.exists()


def test_releases_with_unreadable_plans_are_removed(installed: App, programs: Programs) -> None:
    for path in installed.paths.releases.glob("*/plan.json"):
        path.write_text("{")
    assert remove(installed.paths, "ada@desk")
    assert "docker compose -p app down --remove-orphans" in programs.calls
    assert not installed.paths.releases.exists()
