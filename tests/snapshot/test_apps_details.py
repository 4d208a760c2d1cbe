"""The details of a verified release: the probe on a directory, and its parser."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import schedule
from gpuhost.runner.lib.files import point, write_json
from gpuhost.runner.plan import Backup, Directory, Nginx, Secret, Verify
from gpuhost.runner.stages import fingerprint
from gpuhost.runner.state.release import Release
from gpuhost.snapshot import Probe, Probes, files_on_host
from gpuhost.snapshot.app_state import AppState, BackupUnits
from gpuhost.snapshot.apps import Apps
from gpuhost.snapshot.apps_details import Details
from tests.runner.host_fixtures import NEW, App, Programs, as_resolved, programs
from tests.snapshot.test_apps import probe_output

__all__ = ["programs"]

SECRET = "correct-horse-battery"
RUNNER = "runner-{}.pyz"


@pytest.fixture
def release(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Release:
    """A verified release, after its last stage."""
    monkeypatch.setattr(schedule, "UNITS", tmp_path / "units")
    root = tmp_path / "gpuhost"
    app = App(AppPaths(root / "tts"))
    made = app.release(
        is_current=True,
        given={"TOKEN": SECRET},
        secrets=(Secret("TOKEN"), Secret("MADE", generate="hex")),
        nginx=Nginx("container", service="web", path="./site/a.conf", certificate="self-signed",
                    certificate_dir="site/tls"),
        backup=Backup(paths=("data",), every="daily", limit_s=600),
        verify=Verify(start_s=90),
        directories=(Directory("data"), Directory("gone")),
    )  # fmt: skip
    write_json(made.paths.record, {"images": {"web": "sha256:1"}, "tags": {"web": "gpuhost/a:1"}})
    write_json(app.paths.generated, {"MADE": SECRET}, mode=0o600)
    app.data("site/a.conf", "server {}\n")
    app.data("data/file")
    made.paths.nginx.write_text("server {}\n")
    (root / "lib").mkdir()
    digest = hashlib.sha256(b"runner").hexdigest()[:12]
    (root / "lib" / RUNNER.format(digest)).write_bytes(b"runner")
    point(app.paths.home / "runner.pyz", f"../lib/{RUNNER.format(digest)}")
    as_resolved(made, {"web": {"restart": "always", "ports": [{"target": 1, "published": "80"}]}})
    fingerprint.keep(made)
    return made


def app(release: Release, units: str = "") -> AppState:
    root = release.app.home.parent
    probes = Probes({"apps": Probe(0, probe_output(root)), "app_units": Probe(0, units)})
    state = Apps.read(probes).get("tts")
    assert state
    return state


def details(release: Release) -> Details:
    parsed = app(release).details
    assert isinstance(parsed, Details), parsed
    return parsed


def complaints(release: Release) -> list[str]:
    verified = details(release)
    files = (*verified.files, *([verified.site_file] if verified.site_file else []))
    return sorted(file.complaint.replace(str(release.app.home), "") for file in files)


def test_as_it_was_verified(release: Release) -> None:
    verified = details(release)
    assert set(complaints(release)) == {""}
    assert verified.kept and verified.runner_is_intact and not verified.with_gpu
    assert (verified.images, verified.tags) == ({"web": "sha256:1"}, {"web": "gpuhost/a:1"})
    web = verified.services["web"]
    assert (web.count, web.ports, web.ends) == (1, ("80/tcp",), False)
    assert verified.start_s == 90
    assert verified.site and verified.site_file
    assert verified.site.file == verified.site_file.path == str(release.app.shared / "site/a.conf")
    assert set(verified.rendered) == {"compose.yaml", "nginx.conf"}


def directories(release: Release) -> list[tuple[str, str, str, bool]]:
    states = details(release).directories or ()
    return [(Path(one.path).name, one.was, one.now, one.inside) for one in states]


def test_owner_and_mode_of_directories_are_as_the_app_left_them(release: Release) -> None:
    """Not as they are declared: a container may set its own owner at each start."""
    data = release.app.shared / "data"
    was = f"{os.getuid()}:{os.getgid()} {data.stat().st_mode & 0o7777:04o}"
    assert directories(release) == [("data", was, was, False)]
    data.chmod(0o700)
    assert directories(release) == [("data", was, f"{was.split()[0]} 0700", False)]
    data.rename(data.with_name("moved"))
    assert directories(release) == [("data", was, "", False)]
    data.write_text("")
    assert directories(release) == [("data", was, "", False)]


@pytest.mark.skipif(os.getuid() != 0, reason="only root changes owners")
def test_what_is_in_a_directory_may_have_the_new_owner_too(release: Release) -> None:
    data = release.app.shared / "data"
    os.chown(data, 12345, 12345)
    assert directories(release)[0][2:] == ("12345:12345 0755", False)
    os.chown(data / "file", 12345, 12345)
    assert directories(release)[0][2:] == ("12345:12345 0755", True)


def test_an_older_record_has_no_directories(release: Release) -> None:
    file = release.paths.home / "fingerprint.json"
    kept = json.loads(file.read_text())
    del kept["directories"]
    file.write_text(json.dumps(kept))
    assert details(release).directories is None


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("releases/ID/compose.yaml", "/releases/ID/compose.yaml is changed"),
        ("releases/ID/given.json", "/releases/ID/given.json is changed"),
        ("shared/site/a.conf", "/shared/site/a.conf is changed"),
        ("generated.json", "/generated.json is changed"),
    ],
)
def test_an_edited_file(release: Release, file: str, complaint: str) -> None:
    path = release.app.home / file.replace("ID", NEW)
    path.write_text('{"MADE": "another"}')
    assert [each for each in complaints(release) if each] == [complaint.replace("ID", NEW)]


def test_a_later_generated_secret_is_no_change(release: Release) -> None:
    write_json(release.app.generated, {"MADE": SECRET, "LATER": "x"}, mode=0o600)
    assert set(complaints(release)) == {""}


def test_a_missing_file_a_changed_mode_and_a_special_file(release: Release) -> None:
    paths = release.paths
    paths.compose.unlink()
    paths.given.chmod(0o644)
    paths.nginx.unlink()
    os.mkfifo(paths.nginx)
    paths.resolved.rename(paths.home / "there")
    paths.resolved.symlink_to("there")
    owner = f"{os.getuid()}:{os.getgid()}"
    home = f"/releases/{NEW}"
    assert [each for each in complaints(release) if each] == [
        f"{home}/compose.yaml is missing",
        f"{home}/given.json is {owner} 0644, not {owner} 0600",
        f"{home}/nginx.conf is changed",
        f"{home}/resolved.json is changed",
    ]


def test_a_changed_runner(release: Release) -> None:
    (release.app.home / "runner.pyz").resolve().write_bytes(b"another")
    assert not details(release).runner_is_intact


def test_a_release_without_a_fingerprint(release: Release) -> None:
    (release.paths.home / fingerprint.NAME).unlink()
    verified = details(release)
    assert (verified.kept, verified.files, verified.services) == (False, (), {})
    assert verified.images


def test_no_secret_and_no_hash_of_one_leaves_the_host(release: Release) -> None:
    text = probe_output(release.app.home.parent)
    assert SECRET not in text
    kept = json.loads((release.paths.home / fingerprint.NAME).read_text())["files"]
    # The next release needs the hash of given.json, so the probe sends it.
    for name in ("generated.json", "plan.json"):
        (seen,) = (entry for path, entry in kept.items() if path.endswith(name))
        assert seen["sha256"] not in text


def make_certificate(release: Release, days: int) -> Path:
    tls = release.app.shared / "site/tls"
    tls.mkdir(parents=True)
    words = ("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt")
    more = ("ec_paramgen_curve:prime256v1", "-days", str(days), "-subj", "/CN=a")
    files = ("-keyout", tls / "privkey.pem", "-out", tls / "fullchain.pem")
    subprocess.run([*words, *more, *files], check=True, capture_output=True)
    return tls / "fullchain.pem"


def test_a_certificate(release: Release) -> None:
    certificate = details(release).certificate
    assert certificate and not certificate.exists
    chain = make_certificate(release, 20)
    certificate = details(release).certificate
    assert certificate and certificate.exists and certificate.ends and certificate.starts
    assert certificate.ends - time.time() == pytest.approx(20 * 86400, abs=120)
    chain.write_text("-----BEGIN no")
    certificate = details(release).certificate
    assert certificate and certificate.ends is None
    assert certificate.complaint.startswith("openssl: ")
    chain.write_bytes(b"-----BEGIN \xff")
    certificate = details(release).certificate
    assert certificate and certificate.complaint.startswith("openssl: ")


def test_a_pipe_in_place_of_a_certificate(release: Release) -> None:
    chain = make_certificate(release, 20)
    chain.unlink()
    os.mkfifo(chain)
    certificate = details(release).certificate
    assert certificate and certificate.exists and certificate.ends is None
    assert certificate.complaint == f"{chain} is not a regular file"


def test_when_a_backup_is_due(release: Release) -> None:
    def take(name: str, taken: object) -> None:
        (release.app.backups / name).mkdir(parents=True)
        write_json(release.app.backups / name / "manifest.json", {"taken": taken})

    # 2026-11-20 10:00 UTC
    take("20261119-100000-schedule", 1795082400.0)
    take("20261120-100000-schedule", 1795168800.5)
    (release.app.backups / "20261121-100000-schedule").mkdir()
    schedule = details(release).schedule
    assert schedule and schedule.every == "daily" and schedule.limit_s == 600 and schedule.has_data
    assert not schedule.complaint
    # The next midnight in this machine's time zone, which can be any.
    assert schedule.due and 0 < schedule.due - 1795168800 <= 86400
    assert [backup.taken for backup in app(release).backups] == [None, 1795168800, 1795082400]


def test_the_newest_backup_is_that_with_the_highest_number(release: Release) -> None:
    """The clock was ahead when the second one was made. The first is of an earlier version."""
    for name, manifest in {
        "20261119-100000-schedule": {"taken": 1795082400.0},
        "20300101-100000-schedule": {"taken": 1893492000.0, "sequence": 1},
        "20261120-100000-schedule": {"taken": 1795168800.0, "sequence": 2},
        "20261118-100000-schedule": {"taken": 1, "sequence": "3"},
    }.items():
        (release.app.backups / name).mkdir(parents=True)
        write_json(release.app.backups / name / "manifest.json", manifest)
    (release.app.backups / "before-restore-20261120-100000").mkdir()
    assert [backup.name[:8] for backup in app(release).backups] == [
        "20261120",
        "20300101",
        "20261119",
        "20261118",
    ]
    schedule = details(release).schedule
    assert schedule and schedule.due and 0 < schedule.due - 1795168800 <= 86400


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("", BackupUnits()),
        ("Id=gpuhost-backup-tts.timer\nActiveState=active\n", BackupUnits(timer=True)),
        (
            "Id=gpuhost-backup-tts.timer\nActiveState=active\n\n"
            "Id=gpuhost-backup-tts.service\nActiveState=activating\nResult=success\n",
            BackupUnits(timer=True, running=True),
        ),
        (
            "Id=gpuhost-backup-tts.service\nActiveState=failed\nResult=exit-code\n",
            BackupUnits(failed="exit-code"),
        ),
        ("Id=gpuhost-backup-other.timer\nActiveState=active\n", BackupUnits()),
    ],
)
def test_units_of_backups(release: Release, units: str, expected: BackupUnits) -> None:
    assert app(release, units).backup_units == expected


def test_the_last_operation(release: Release) -> None:
    assert details(release).last == {}
    lines = [{"kind": "release", "state": "verified"}, {"kind": "restore", "state": "failed"}]
    text = "".join(f"{json.dumps({**line, 'said': SECRET})}\n" for line in lines)
    (release.app.home / "history.jsonl").write_text(text)
    assert details(release).last == {"kind": "restore", "state": "failed"}


def test_the_last_operation_of_a_history_that_has_grown_too_large(release: Release) -> None:
    with (release.app.home / "history.jsonl").open("wb") as file:
        file.truncate(20 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b'\n{"kind": "restore", "state": "failed"}\n')
    assert details(release).last == {"kind": "restore", "state": "failed"}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo a; echo b >&2", {"out": "a\n", "said": ""}),
        ("echo a; echo b >&2; exit 3", {"out": "", "said": "sh: b"}),
        ("exit 3", {"out": "", "said": "sh: exit status 3"}),
        ("exec yes", {"out": "", "said": "sh: ended after 1 s or too much output"}),
        ("exec sleep 60", {"out": "", "said": "sh: ended after 1 s or too much output"}),
        ("exec yes b >&2", {"out": "", "said": "sh: b"}),
    ],
)
def test_what_a_program_prints_and_its_time_are_limited(
    monkeypatch: pytest.MonkeyPatch, script: str, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(files_on_host, "SECONDS", 1)
    assert files_on_host.run("sh", "-c", script) == expected


@pytest.mark.parametrize("text", ["[]", "null", '{"files": 1}', '{"files": {"/x": []}}'])
@pytest.mark.parametrize("name", ["fingerprint", "plan", "record"])
def test_invalid_files_of_one_app_do_not_affect_others(
    release: Release, name: str, text: str
) -> None:
    (release.paths.home / f"{name}.json").write_text(text)
    assert app(release).current == NEW
    assert app(release).details != ""


KEYS = ("kept", "services", "listens", "files", "site", "certificate", "schedule", "said", "out",
        "count", "ports", "ends", "last", "state", "there")  # fmt: skip
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(value=values)
def test_any_json_is_details_or_a_reason(value: Any) -> None:
    probe_output = {"apps": [{"name": "tts", "current": "x", "details": value}]}
    probes = Probes({"apps": Probe(0, json.dumps(probe_output)), "app_units": Probe(0)})
    parsed = Apps.read(probes).by_name["tts"].details
    assert isinstance(parsed, Details) or parsed
