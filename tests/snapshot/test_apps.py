"""The apps of a host: the probe on a directory like /opt/gpuhost, and its parser."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.checks.deployed import host
from gpuhost.checks.finding import Status
from gpuhost.runner.contract import AppPaths, Operation, recorded_containers
from gpuhost.runner.state.releases import in_order
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Probe, Probes, Snapshot
from gpuhost.snapshot.app_state import AppState, Given
from gpuhost.snapshot.apps import PROGRAM, Apps
from gpuhost.snapshot.apps_on_host import locked
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.ports import UsedPort
from gpuhost.snapshot.request import Request
from gpuhost.snapshot.transport import decode
from tests.recorded import probes

OLD, NEW = "20261121-010203-aabbccdd", "20261122-010203-11223344"
SECRET = "correct-horse-battery"
RESULT = {
    "id": OLD, "state": "verified", "kind": "release", "by": "ann@desk", "ended": 1795300000.5,
    "output": [SECRET], "logs": [SECRET], "gap_s": 1.5,
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two releases of an app, the first one current, the second under way."""
    home = tmp_path / "tts"
    for id, by in ((OLD, "ann@desk"), (NEW, "bob@desk")):
        release = home / "releases" / id
        release.mkdir(parents=True)
        plan = {"by": by, "inputs": id[-8:], "project": "tts", "revision": "1f" * 20, "secrets": []}
        (release / "plan.json").write_text(json.dumps(plan))
        (release / "given.json").write_text(json.dumps({"KEY": SECRET}))
        (release / "given.json").chmod(0o600)
        (release / "log").write_text(SECRET)
    (home / "releases" / OLD / "result.json").write_text(json.dumps(RESULT))
    (home / "current").symlink_to(f"releases/{OLD}")
    (home / "lock").touch()
    begun = {"kind": "release", "id": NEW, "by": "bob@desk", "started": 1795300100.2}
    (home / "attempt.json").write_text(json.dumps(begun))
    for name, whole in (("20261121-1", True), ("20261121-2", False)):
        (home / "backups" / name).mkdir(parents=True)
        if whole:
            (home / "backups" / name / "manifest.json").write_text('{"items": [1]}')
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "runner-1.pyz").touch()
    (home / "runner.pyz").symlink_to("../lib/runner-1.pyz")
    return tmp_path


def probe_output(root: Path) -> str:
    words = [sys.executable, "-I", "-S", "-c", PROGRAM, root]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def probed(root: Path, units: str = "") -> Probes:
    return Probes({"apps": Probe(0, probe_output(root)), "app_units": Probe(0, units)})


def read(root: Path, units: str = "") -> Apps:
    return Apps.read(probed(root, units))


def tts(root: Path, units: str = "") -> AppState:
    state = read(root, units).get("tts")
    assert state
    return state


def test_an_app(root: Path) -> None:
    app = tts(root)
    assert [release.id for release in app.releases] == [NEW, OLD]
    current = app.current_release
    assert current and current.verified and current.id == OLD
    assert (current.by, current.inputs, current.project) == ("ann@desk", "aabbccdd", "tts")
    assert current.result and (current.result.ended, current.result.gap_s) == (1795300000.5, 1.5)
    assert app.newest and app.newest.result is None
    assert app.attempt == Operation("release", NEW, "bob@desk", 1795300100.2)
    assert [(backup.name, backup.complete) for backup in app.backups] == [
        ("20261121-2", False),
        ("20261121-1", True),
    ]
    assert read(root).runners == (app.runner,) == ("runner-1.pyz",)


def test_given_secrets_are_compared_by_hash(root: Path) -> None:
    given = tts(root).given
    digest = subprocess.run(
        ["sha256sum", root / "tts" / "releases" / OLD / "given.json"], capture_output=True
    ).stdout.decode()
    assert isinstance(given, Given)
    assert (given.sha256, given.mode) == (digest.split()[0], "0600")


def test_no_secret_and_no_log_leaves_the_host(root: Path) -> None:
    assert SECRET not in probe_output(root)


@pytest.mark.parametrize("state", ["active", "activating", "deactivating"])
def test_under_way_while_its_unit_runs(root: Path, state: str) -> None:
    other = "Id=gpuhost-release-other.service\nActiveState=active\n"
    units = f"{other}\nId=gpuhost-release-tts.service\nActiveState={state}\n"
    app = tts(root, units)
    assert app.under_way == app.attempt and app.cut_off is None


@pytest.mark.parametrize("units", ["", "Id=gpuhost-release-tts.service\nActiveState=failed\n"])
def test_interrupted_if_its_unit_does_not_run(root: Path, units: str) -> None:
    app = tts(root, units)
    assert app.under_way is None and app.cut_off == app.attempt


def test_under_way_while_a_process_holds_the_lock(root: Path) -> None:
    with (root / "tts" / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert tts(root).under_way
        # A scheduled backup is not an operation: a release waits for it.
        (root / "tts" / "attempt.json").unlink()
        assert tts(root).under_way is None


@pytest.mark.parametrize("text", ["", "[", "[]", "null", '{"state": 5}', "[" * 100_000])
def test_invalid_files(root: Path, text: str) -> None:
    for file in root.glob("tts/**/*.json"):
        file.write_text(text)
    app = tts(root)
    assert app.current == OLD
    assert app.current_release and not app.current_release.verified


@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "itself", "large", "NaN"])
def test_what_is_no_file_hides_no_other_app(root: Path, kind: str) -> None:
    shutil.copytree(root / "tts", root / "other", symlinks=True)
    names = ("history.jsonl", "lock", "attempt.json", "restore/state.json", "runner.pyz")
    paths = {*(root / "tts" / name for name in names), *root.glob("tts/**/*.json")}
    paths |= {root / "tts/releases" / OLD / "fingerprint.json"}
    for path in paths:
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "directory":
            path.mkdir()
        elif kind == "large":
            with path.open("wb") as file:
                file.truncate(100 << 20)
        elif kind == "NaN":
            path.write_text(
                f'{{"taken": Infinity, "started": NaN, "ended": 1e999, "sequence": 1{"0" * 9000}}}'
            )
        else:
            path.symlink_to("/dev/zero" if kind == "device" else path.name)
    apps = read(root)
    assert set(apps.by_name) == {"other", "tts"}
    assert apps.by_name["other"].current == OLD
    # The other probe, of the containers, reads files of a release too.
    assert recorded_containers(root / "tts/current") is None


def test_unexpected_files_in_its_directories(root: Path) -> None:
    for directory in ("releases", "backups"):
        (root / "tts" / directory / "a file").touch()
        (root / "tts" / directory / ".beside.new").mkdir()
    (root / "not an app").mkdir()
    (root / "a file").touch()
    apps = read(root)
    assert list(apps.by_name) == ["tts"]
    assert len(apps.by_name["tts"].releases) == len(apps.by_name["tts"].backups) == 2


def test_a_copy_of_an_app_hides_no_app(root: Path) -> None:
    shutil.copytree(root / "tts", root / "tts.bak", symlinks=True)
    snapshot = Snapshot(probed(root))
    assert list(snapshot.apps.by_name) == ["tts"]
    verdict = host.state(snapshot, Settings())
    told = "no app can have this name: 'tts.bak'"
    assert (verdict.status, verdict.actual, verdict.evidence) == (Status.WARN, told, "apps: tts")


def test_a_lock_of_the_same_inode_on_another_device(root: Path) -> None:
    """Whoever may write there could make an operation seem to run."""
    stat = (root / "tts" / "lock").stat()
    lock = f"1: FLOCK  ADVISORY  WRITE 4711 {{}}:{stat.st_ino} 0 EOF\n"
    own = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}"
    assert locked(root / "tts" / "lock", lock.format(own))
    assert os.major(stat.st_dev) == 0 or not locked(root / "tts" / "lock", lock.format("07:63"))


def test_current_is_a_dangling_link(root: Path) -> None:
    shutil.rmtree(root / "tts" / "releases" / OLD)
    app = tts(root)
    assert (app.current, app.current_release, app.given) == (OLD, None, None)


def test_current_is_a_link_to_itself(root: Path) -> None:
    (root / "tts" / "current").unlink()
    (root / "tts" / "current").symlink_to("current")
    app = tts(root)
    assert (app.current_release, app.given) == (None, None)


@pytest.mark.parametrize(
    ("numbers", "newest"),
    [((2, 1), OLD), ((1, 2), NEW), ((3, None), NEW), ((None, -1), NEW), ((5, True), NEW)],
)
def test_releases_are_in_the_order_of_the_runner(
    root: Path, numbers: tuple[object, object], newest: str
) -> None:
    for id, number in zip((OLD, NEW), numbers, strict=True):
        record = root / "tts" / "releases" / id / "record.json"
        record.write_text(json.dumps({"sequence": number}))
    found = [release.id for release in tts(root).releases]
    assert (found[0], found[::-1]) == (newest, in_order(AppPaths(root / "tts")))


@pytest.mark.parametrize(
    ("text", "restoring"),
    [('{"backup": "20261121-1", "step": "undoing"}', "20261121-1"), ("{", "")],
)
def test_a_restore_that_has_not_ended(root: Path, text: str, restoring: str) -> None:
    assert tts(root).restoring is None
    (root / "tts" / "restore").mkdir()
    (root / "tts" / "restore" / "state.json").write_text(text)
    assert tts(root).restoring == restoring


def test_no_directory_means_no_apps() -> None:
    snapshot = Snapshot(probes("debian13"))
    assert snapshot.apps == Apps({}, ())
    assert snapshot.networks.by_name == {}


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        (Probe(None), "timed out"),
        (Probe(127, "", "timeout: failed to run command 'python3'"), "python3"),
        (Probe(0, '{"apps": ['), "not valid JSON"),
    ],
)
def test_an_unreadable_probe_is_not_read(probe: Probe, reason: str) -> None:
    with pytest.raises(NotRead, match=reason):
        Apps.read(Probes({"apps": probe, "app_units": Probe(0)}))


def test_the_collector_runs_it(root: Path) -> None:
    """The script for a host, with another directory instead of /opt/gpuhost."""
    text = script(Request()).replace("/opt/gpuhost", str(root))
    done = subprocess.run(["/bin/sh"], input=text, capture_output=True, text=True, timeout=60)
    sent = decode(done.stdout.splitlines())
    assert sent.output("apps") == probe_output(root)
    assert "app_units" in sent


KEYS = (
    "apps", "runners", "name", "current", "given", "attempt", "releases", "backups", "locked",
    "result", "id", "runner", "started", "ended", "gap_s", "manifest", "sha256",
)  # fmt: skip
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=20,
)
LISTENERS = """
tcp LISTEN 0 1 0.0.0.0:80 0.0.0.0:* users:(("docker-proxy",pid=1,fd=1))
tcp LISTEN 0 1 127.0.0.53%lo:53 0.0.0.0:* users:(("resolver",pid=1,fd=1))
udp UNCONN 0 0 *:51820 *:*
"""


@given(value=values, units=st.text("Id=ActiveState\n gpuhost-release-", max_size=60))
def test_only_not_read_is_raised(value: Any, units: str) -> None:
    both = {"apps": Probe(0, json.dumps(value)), "app_units": Probe(0, units)}
    try:
        apps = Apps.read(Probes(both))
    except NotRead:
        return
    for app in apps.by_name.values():
        assert app.project == app.project and app.current_release in (None, *app.releases)


def test_ports_without_end() -> None:
    """A line is short, and its ranges are long."""
    ranges = ", ".join(f"192.0.2.{last}:1-65535->1-65535/tcp" for last in range(5))
    out = f"1f\tweb\trunning\tx\t{ranges}\tshop\n"
    changed = {"docker_containers": {"out": out}, "listeners": {"out": LISTENERS}}
    with pytest.raises(NotRead, match="containers publish more than 262140 ports"):
        Snapshot(probes("debian13-docker", changed=changed)).ports  # noqa: B018


def test_ports_in_use() -> None:
    snapshot = Snapshot(
        probes(
            "debian13-docker",
            changed={
                "docker_containers": {
                    "out": "1f\tweb\trunning\tx\t0.0.0.0:80->80/tcp, [::]:80->80/tcp, "
                    "127.0.0.1:9000-9001->9000-9001/udp, 6379/tcp\tshop\n"
                },
                "listeners": {"out": LISTENERS},
            },
        )
    )
    web = "container web"
    assert snapshot.ports.taken == (
        UsedPort(53, "tcp", "127.0.0.53", "resolver"),
        UsedPort(80, "tcp", "", web, "shop"),
        UsedPort(9000, "udp", "127.0.0.1", web, "shop"),
        UsedPort(9001, "udp", "127.0.0.1", web, "shop"),
        UsedPort(51820, "udp", "", "the kernel"),
    )


@pytest.mark.parametrize(
    ("status", "health", "exit_status"),
    [
        ("Up 2 hours (healthy)", "healthy", None),
        ("Up 2 seconds (health: starting)", "starting", None),
        ("Up 2 minutes (unhealthy)", "unhealthy", None),
        ("Up 2 minutes", "", None),
        ("Exited (137) 5 minutes ago", "", 137),
        ("Restarting (1) 5 seconds ago", "", None),
    ],
)
def test_state_of_a_container(status: str, health: str, exit_status: int | None) -> None:
    row = f"1f\tweb\trunning\tx\t\tshop\tweb\t/srv\tFalse\t{status}\t/data\n"
    snapshot = Snapshot(probes("debian13-docker", changed={"docker_containers": {"out": row}}))
    (container,) = snapshot.docker.containers
    assert (container.health, container.exit_status) == (health, exit_status)
    assert (container.service, container.directory, container.mounts) == ("web", "/srv", "/data")
