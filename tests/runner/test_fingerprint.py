"""The fingerprint of a verified release, and its update when the release is restored."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner import __main__ as entry
from gpuhost.runner.contract import VERIFIED, Operation, Result
from gpuhost.runner.data import schedule
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.plan import Backup, Logs, Migrate, Nginx, Secret
from gpuhost.runner.stages import fingerprint
from gpuhost.runner.stages.fingerprint import NAME
from gpuhost.runner.state import results
from gpuhost.runner.state.operations import begin
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, Programs, app, programs
from tests.runner.test_activation import container

__all__ = ["app", "programs"]

SECRET = "correct-horse"
SITE = "server { listen 80; listen [::]:80; server_name a; }\nserver { listen 443 ssl; }\n"


@pytest.fixture
def release(
    app: App, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Release:
    """A release with every file that it can have, as after its last stage."""
    monkeypatch.setattr(schedule, "UNITS", tmp_path / "units")
    (tmp_path / "units").mkdir()
    for name in ("gpuhost-backup-app.timer", "gpuhost-backup-other.timer"):
        (tmp_path / "units" / name).write_text("[Timer]\n")
    site = Nginx("host", path=str(tmp_path / "conf.d/gpuhost-app.conf"))
    secrets = (Secret("TOKEN", path="token"), Secret("MADE", generate="hex"))
    made = app.release(
        given={"TOKEN": SECRET},
        nginx=site,
        secrets=secrets,
        backup=Backup(paths=("data",), every="daily"),
        logs=Logs(("logs/*.log",)),
    )
    for path in (made.paths.nginx, Path(site.path)):
        path.parent.mkdir(exist_ok=True)
        path.write_text(SITE)
    write_json(made.paths.runs, {"services": {}}, mode=0o600)
    write_json(app.paths.generated, {"MADE": SECRET, "OF_ANOTHER": "1"}, mode=0o600)
    app.data("token", SECRET)
    programs.compose({"web": {"restart": "always"}})
    return made


def kept(release: Release) -> dict[str, Any]:
    fingerprint_file: dict[str, Any] = json.loads((release.paths.home / NAME).read_text())
    return fingerprint_file


def names(release: Release) -> set[str]:
    return {Path(path).name for path in kept(release)["files"]}


def test_every_file_of_a_release_is_in_the_fingerprint(release: Release) -> None:
    fingerprint.keep(release)
    assert names(release) == {
        "plan.json", "compose.yaml", "nginx.conf", "given.json",
        "resolved.json", "compose.json", "generated.json", "token", "gpuhost-app.conf",
        "gpuhost-backup-app.timer",
    }  # fmt: skip
    seen = kept(release)["files"][str(release.paths.given)]
    assert (seen["mode"], len(seen["sha256"])) == ("0600", 64)
    assert kept(release)["listens"] == [80, 443]


def test_the_fingerprint_has_no_secret_and_is_readable_by_root_only(release: Release) -> None:
    fingerprint.keep(release)
    file = release.paths.home / NAME
    assert SECRET not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_restored_release_accepts_the_files_it_wrote_and_no_other_change(
    app: App, release: Release
) -> None:
    fingerprint.keep(release)
    before = kept(release)["files"]
    for path in (release.paths.compose, release.paths.runs):
        path.write_text("changed")
    fingerprint.update(release)
    after = kept(release)["files"]
    differing = {Path(path).name for path in before if before[path] != after[path]}
    assert differing == {"compose.json"}


def test_how_containers_were_made_is_recorded_and_follows_a_restored_release(
    release: Release, programs: Programs
) -> None:
    made = container("app-web-1", "web", "gpuhost/app/web:aaaaaaaaaaaa")
    made["HostConfig"]["Memory"] = 5
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps([made]))
    fingerprint.keep(release)
    recorded = kept(release)["containers"]
    assert recorded["format"] == 2
    assert recorded["services"]["web"]["memory"] == "5"
    # `up` has made it again.
    made["HostConfig"]["Memory"] = 6
    programs.answer("docker inspect *", json.dumps([made]))
    fingerprint.update(release)
    assert kept(release)["containers"]["services"]["web"]["memory"] == "6"


def test_secrets_of_a_failed_release_do_not_change_the_fingerprint(
    app: App, release: Release
) -> None:
    fingerprint.keep(release)
    before = kept(release)
    write_json(app.paths.generated, {"MADE": SECRET, "NEWER": "2"}, mode=0o600)
    fingerprint.update(release)
    assert kept(release) == before
    write_json(app.paths.generated, {"MADE": "another"}, mode=0o600)
    fingerprint.update(release)
    assert kept(release) != before


@pytest.mark.parametrize("text", [None, "", "[]", '{"format": 0}', '{"format": 1}'])
def test_a_release_without_a_fingerprint_gets_none_when_restored(
    release: Release, text: str | None
) -> None:
    file = release.paths.home / NAME
    if text is not None:
        file.write_text(text)
    fingerprint.update(release)
    assert (file.read_text() if file.exists() else None) == text


@pytest.mark.parametrize(
    ("section", "plan", "expected"),
    [
        ({}, {}, (1, [], True)),
        ({"restart": "unless-stopped"}, {}, (1, [], False)),
        ({"restart": "no"}, {}, (1, [], True)),
        ({"deploy": {"restart_policy": {"condition": "any"}}}, {}, (1, [], False)),
        ({"scale": 3, "restart": "always"}, {}, (3, [], False)),
        ({"deploy": {"replicas": 0}, "restart": "always"}, {}, (0, [], False)),
        (
            {
                "restart": "always",
                "ports": [
                    {"target": 80, "published": "8080", "host_ip": "127.0.0.1", "protocol": "tcp"},
                    {"target": 53, "published": "53", "protocol": "udp"},
                    {"target": 81, "published": "8100-8110", "host_ip": "0.0.0.0"},
                    {"target": 82},
                    {"target": 83, "published": "0"},
                ],
            },
            {},
            (1, ["127.0.0.1:8080/tcp", "53/udp", "8100-8110/tcp"], False),
        ),
    ],
)
def test_the_fingerprint_of_a_service(
    app: App,
    programs: Programs,
    section: dict[str, Any],
    plan: dict[str, Any],
    expected: tuple[int, list[str], bool],
) -> None:
    programs.compose({"web": section, "left": {}, "migrate": {}})
    release = app.release(leave_out=("left",), migrate=Migrate("migrate"), **plan)
    fingerprint.keep(release)
    (runs,) = kept(release)["services"].items()
    assert runs == ("web", dict(zip(("count", "ports", "ends"), expected, strict=True)))


def test_a_service_that_has_ended_may_stay_so(app: App, programs: Programs) -> None:
    """Whatever its policy: an unless-stopped was added to those that still run."""
    programs.compose({"init": {}, "web": {}, "fails": {"restart": "on-failure"}})
    made = [
        container("init", "init", "x", status="exited"),
        container("web", "web", "x"),
        container("fails", "fails", "x", status="exited"),
    ]
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps(made))
    release = app.release()
    fingerprint.keep(release)
    ends = {name: state["ends"] for name, state in kept(release)["services"].items()}
    assert ends == {"init": True, "web": False, "fails": True}


def test_the_next_runner_writes_the_fingerprint_of_an_interrupted_release(
    app: App, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("data.schedule.install", "stages.prune.prune", "stages.runner_cleanup.forget"):
        monkeypatch.setattr(f"gpuhost.runner.{step}", lambda release: None)
    ended = Result(NEW, "app", "release", VERIFIED, "ada@desk", "r", NEW, 1.0, 2.0)
    results.store(release.app, ended)
    begin(app.paths, Operation("release", NEW, "ada@desk", 1.0))
    monkeypatch.setattr(sys, "argv", ["runner.pyz", "resume", str(app.paths.home)])
    assert entry.main() == 0
    assert "compose.yaml" in names(release)
    assert not app.paths.attempt.exists()
