"""deploys/app.py and deploys/rollback.py as a user runs them, on hosts that play their part."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.plan import load
from tests.cli.conftest import sshd as sshd
from tests.cli.sshd import ADDRESSES, Sshd, packed
from tests.recorded import raw

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PYINFRA = Path(sys.executable).with_name("pyinfra")
PLAY = Path(__file__).with_name("played_host.py")
SECRET = "s3cret-$'\"`-ß-value"
APP = """\
x-gpuhost:
  secrets:
    PLANTED: {min_length: 8}
  source: {directory: source}
services:
  web:
    image: web:1
    build: .
"""
UNITS = {"host": "debian13-docker"}
STAGES = [
    "10:00:00 == source", "10:00:02 fetched", "10:00:02 == build", "10:01:40 Successfully built",
    "10:01:40 == up", "10:01:45 done",
]  # fmt: skip
RESULT = {
    "app": "tts", "kind": "release", "state": "verified", "by": "me@here", "revision": "a" * 40,
    "inputs": "b" * 64, "started": 100.0, "ended": 205.0, "gap_s": 3.4,
}  # fmt: skip
ENDED = {"state": "ended", "lines": STAGES, "result": RESULT}
FAILED = {
    "state": "ended",
    "lines": ["10:00:00 == build", "10:00:41 FAILED in build: docker compose build failed"],
    "result": {
        **RESULT,
        "state": "restored",
        "stage": "build",
        "said": "docker compose build web failed (exit 1)",
        "output": ["E: Unable to locate package", "\x1b[31mred\x1b[0m"],
        "logs": ["listening on 3000"],
        "restored": "20260101-000000-aaaaaaaa",
        "migrated": True,
        "backup": "1",
        "fix": "apt-get update first",
    },
}


@dataclass
class Played:
    """A host of the inventory."""

    address: str
    directory: Path
    login: dict[str, Any]

    def looks(self, *looks: dict[str, Any]) -> None:
        (self.directory / "script.json").write_text(json.dumps(looks))

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def apps(self, *apps: dict[str, Any], active: bool = False) -> None:
        """What the host has released. active: something is under way."""
        state = "active" if active else "inactive"
        units = "".join(
            f"Id=gpuhost-release-{app['name']}.service\nActiveState={state}\n\n" for app in apps
        )
        probes = raw(
            {
                **UNITS,
                "probes": {
                    "apps": {"out": json.dumps({"apps": apps, "runners": ["runner-x.pyz"]})},
                    "app_units": {"out": units},
                },
            }
        )
        self.write("reply", packed(probes))

    @property
    def home(self) -> Path:
        return self.directory / "opt/gpuhost/tts"

    @property
    def releases(self) -> list[Path]:
        return sorted((self.home / "releases").glob("*"))

    @property
    def started(self) -> list[str]:
        file = self.directory / "started"
        return file.read_text().splitlines() if file.exists() else []


@dataclass
class Workplace:
    """A directory with an inventory and an app, from which pyinfra is run."""

    path: Path
    hosts: list[Played]
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=lambda: {"PLANTED": SECRET})

    def popen(self, *words: str) -> subprocess.Popen[str]:
        hosts = [
            (host.address, {**host.login, "adopt": True, **self.settings}) for host in self.hosts
        ]
        (self.path / "inventory.py").write_text(f"hosts = {hosts!r}\n")
        kept = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "PLANTED")}
        return subprocess.Popen(
            [str(PYINFRA), "inventory.py", *words],
            cwd=self.path,
            env={**kept, **self.environment, "HOME": str(self.path), "PYINFRA_PROGRESS": "off"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        process = self.popen(*words)
        try:
            out, _ = process.communicate(timeout=40)
        finally:
            process.kill()
        assert "Traceback" not in out, out
        return process.returncode, out

    def release(self, *words: str, app: str = "tts") -> tuple[int, str]:
        deploy = str(ROOT / "deploys" / "app.py")
        return self.run(deploy, "--data", f"app={app}", *(words or ("-y",)))


@pytest.fixture
def workplace(tmp_path: Path, sshd: Sshd) -> Workplace:
    path = tmp_path / "work"
    (path / "apps" / "source").mkdir(parents=True)
    (path / "apps" / "source" / "Dockerfile").write_text("FROM scratch\n")
    (path / "apps" / "tts.yaml").write_text(APP)
    return Workplace(path, [_played(tmp_path, sshd, ADDRESSES[0])])


def _played(tmp_path: Path, sshd: Sshd, address: str) -> Played:
    directory = tmp_path / f"host-{address}"
    directory.mkdir()
    words = [sys.executable, "-I", str(PLAY), str(directory)]
    host = Played(address, directory, sshd.login(" ".join(map(shlex.quote, words))))
    host.apps()
    host.looks(ENDED)
    return host


@pytest.fixture
def host(workplace: Workplace) -> Iterator[Played]:
    yield workplace.hosts[0]


def _same(line: str, *words: str) -> bool:
    return all(word in line for word in words)


def _position(out: str, *parts: str) -> list[int]:
    """Where each stands; a missing one is an error that shows what is there."""
    assert [part for part in parts if part not in out] == [], out
    return [out.index(part) for part in parts]


def test_a_release_is_sent_begun_and_watched(workplace: Workplace, host: Played) -> None:
    status, out = workplace.release()
    assert status == 0, out
    places = _position(
        out, "tts: first release, revision ", "without a card (it asks for no card); services: web",
        "began; Ctrl-C ends the watching only", "  source       2 s", "  build        98 s",
        "  up           5 s", "verified after 1 min 45 s", "did not answer for 3.4 s", "Success",
    )  # fmt: skip
    assert places == sorted(places)
    (release,) = host.releases
    plan = load(release / "plan.json")
    assert (plan.id, plan.app, plan.source and plan.source.kind) == (release.name, "tts", "archive")
    assert (release / "compose.yaml").read_bytes() == (
        workplace.path / "apps/tts.yaml"
    ).read_bytes()
    with tarfile.open(release / "source.tar.gz") as archive:
        assert archive.getnames() == ["Dockerfile"]
    assert json.loads((release / "given.json").read_text("utf-8")) == {"PLANTED": SECRET}
    _is_in_place(host, release)


def _is_in_place(host: Played, release: Path) -> None:
    modes = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in release.iterdir()}
    assert set(modes.values()) == {"600"}
    assert [f"{path.stat().st_mode & 0o777:o}" for path in (release, release.parent)] == ["700"] * 2
    runner = (host.home / "runner.pyz").resolve()
    assert runner.parent == host.home.parent / "lib"
    assert f"{runner.stat().st_mode & 0o777:o}" == "644"
    told = subprocess.run([sys.executable, "-I", runner, "status", host.home], capture_output=True)
    assert json.loads(told.stdout)["app"] == "tts", told.stderr
    assert list(host.home.rglob("*.new")) == []
    unit = host.directory / "etc/systemd/system/gpuhost-resume@.service"
    assert "runner.pyz resume /opt/gpuhost/%i" in unit.read_text()
    assert host.started[-3:] == ["release", str(host.home), release.name]
    assert {"--unit=gpuhost-release-tts.service", "--collect", "Restart=on-failure"} <= {
        *host.started
    }
    assert (
        "systemctl enable --quiet -- gpuhost-resume@tts.service"
        in (host.directory / "calls").read_text()
    )


@pytest.mark.parametrize("words", [("-y", "--json", "-vvv"), ("--dry", "-vvv")])
def test_no_secret_is_shown_or_sent_but_on_stdin(
    workplace: Workplace, host: Played, words: tuple[str, ...]
) -> None:
    status, out = workplace.release(*words)
    assert status == 0, out
    assert "tts" in out
    seen = "".join([out, (host.directory / "execs").read_text("utf-8"), *host.started])
    for spelled in (SECRET, json.dumps(SECRET)[1:-1], shlex.quote(SECRET), "s3cret"):
        assert spelled not in seen
    if "--dry" in words:
        assert "would release tts: first release, revision " in out
        assert host.started == []
        assert not host.home.exists()
    else:
        assert host.started


def _released(workplace: Workplace, host: Played, **more: Any) -> dict[str, Any]:
    """The host's own account of a release that was verified."""
    workplace.release()
    (release,) = host.releases
    plan = json.loads((release / "plan.json").read_text())
    digest = hashlib.sha256((release / "given.json").read_bytes()).hexdigest()
    (host.directory / "started").unlink()
    kept = {key: plan[key] for key in ("id", "by", "inputs", "project", "revision")}
    return {
        "name": "tts",
        "current": release.name,
        "given": {"sha256": digest, "mode": "0600", "owner": "root"},
        "attempt": None,
        "releases": [{**kept, "rollback_of": "", "result": {"state": "verified"}}],
        "backups": [],
        **more,
    }


def test_the_same_again_is_no_change(workplace: Workplace, host: Played) -> None:
    host.apps(_released(workplace, host))
    status, out = workplace.release("--dry")
    assert (status, host.started) == (0, [])
    assert "would release" not in out
    status, out = workplace.release()
    assert (status, host.started) == (0, [])
    assert "No changes" in out


def test_a_failure_says_everything_and_exits_1(workplace: Workplace, host: Played) -> None:
    host.looks({"state": "running", "lines": STAGES[:2]}, FAILED)
    status, out = workplace.release()
    assert status == 1
    places = _position(
        out, "  source       0 s", "  build        failed after 41 s",
        " failed in stage build: docker compose build web failed (exit 1)",
        "  | E: Unable to locate package", "  | red", "the app's last log lines:",
        "  | listening on 3000", "restored: 20260101-000000-aaaaaaaa runs again, and is verified",
        "did not answer for 3.4 s", "the backup from before it: /opt/gpuhost/tts/backups/1",
        "-> apt-get update first", "the whole log: /opt/gpuhost/tts/releases/",
    )  # fmt: skip
    assert places == sorted(places)
    assert "\x1b[31mred" not in out


def test_refused_with_every_reason_before_anything(workplace: Workplace, host: Played) -> None:
    (workplace.path / "apps/tts.yaml").write_text(
        APP.replace("min_length: 8}", "min_length: 8}\n    OTHER: {env: GONE}")
        + '    ports: ["22:22"]\n'
    )
    workplace.environment.clear()
    status, out = workplace.release()
    assert status == 1
    assert _same(out, "PLANTED", "GONE", "app.ports: ", "refused, nothing was changed"), out
    assert host.started == []
    assert not host.home.exists()


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("", "which app? Give --data app=NAME; known here: "),
        ("app=ttz", "apps/ttz.yaml: there is no such file"),
        ("app=bad", "apps/bad.yaml:2: "),
    ],
)
def test_no_app_to_release(workplace: Workplace, host: Played, app: str, says: str) -> None:
    (workplace.path / "apps/bad.yaml").write_text("x-gpuhost:\n  sources: 1\nservices: {a: {}}\n")
    data = ("--data", app) if app else ()
    status, out = workplace.run(str(ROOT / "deploys/app.py"), "-y", *data)
    assert status == 1
    assert says in out
    assert "bad" in app or "tts" in out.split("known here: ")[1].splitlines()[0]
    assert host.started == []


def test_somebody_else_was_quicker(workplace: Workplace, host: Played) -> None:
    """Nothing was under way when the host was read; the unit's name decides."""
    host.home.mkdir(parents=True)
    attempt = {"kind": "release", "id": "20260101-000000-ab", "by": "ann@desk", "started": 1.0}
    (host.home / "attempt.json").write_text(json.dumps(attempt))
    host.write("active", "active\n")
    status, out = workplace.release()
    assert status == 1
    assert _same(
        out, "refused, nothing was changed: release 20260101-000000-ab by ann@desk, since 1970-",
        "follow it: gpuhost logs inventory.py --limit 127.0.0.2 --app tts --follow",
    )  # fmt: skip
    assert (host.started, host.releases) == ([], [])


def test_it_cannot_be_started(workplace: Workplace, host: Played) -> None:
    host.write("refuse", "Failed to connect to bus: No such file or directory\n")
    status, out = workplace.release()
    assert status == 1
    assert "it could not be started: Failed to connect to bus: No such file" in out
    assert host.releases == []


def test_a_connection_that_breaks(workplace: Workplace, host: Played) -> None:
    host.looks({"state": "running", "lines": STAGES[:3]}, {"hang up": True}, ENDED)
    status, out = workplace.release()
    assert status == 0, out
    places = _position(
        out, "  source       2 s", "no answer; the release goes on on 127.0.0.2",
        "the connection is back", "verified after",
    )  # fmt: skip
    assert places == sorted(places)


def test_ctrl_c_ends_the_watching_only(workplace: Workplace, host: Played) -> None:
    host.looks({"state": "running", "lines": STAGES[:3], "wait": True})
    process = workplace.popen(
        str(ROOT / "deploys/app.py"), "--data", "app=tts", "-y",
    )  # fmt: skip
    assert process.stdout
    out = ""
    try:
        for line in process.stdout:
            out += line
            if "  source " in line:
                process.send_signal(signal.SIGINT)
                break
        out += process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert process.returncode == 130, out
    assert (
        "[127.0.0.2] detached: the release goes on on 127.0.0.2; follow it: "
        "gpuhost logs inventory.py --limit 127.0.0.2 --app tts --follow"
    ) in out
    assert "Traceback" not in out
    assert len(host.releases) == 1


@pytest.fixture
def three(workplace: Workplace, tmp_path: Path, sshd: Sshd) -> list[Played]:
    workplace.hosts += [_played(tmp_path, sshd, address) for address in ADDRESSES[1:3]]
    return workplace.hosts


def test_the_first_failure_stops_the_rest(workplace: Workplace, three: list[Played]) -> None:
    three[1].looks(FAILED)
    status, out = workplace.release()
    assert status == 1
    assert [bool(host.started) for host in three] == [True, True, False]
    assert f"tts: not attempted, because {three[1].address} failed; this host keeps" in out
    assert out.count("not attempted") == 1


def test_host_after_host_or_all_at_once(workplace: Workplace, three: list[Played]) -> None:
    for batch in (1, 3):
        workplace.settings["app_batch"] = batch
        for host in three:
            host.looks(ENDED)
            # The recorded clock stands still, and with it a release's id.
            shutil.rmtree(host.home / "releases", ignore_errors=True)
        status, out = workplace.release()
        assert status == 0, out
        assert out.count("verified after") == 3
        if batch == 1:
            said = re.findall(r"\[([0-9.]+)\] release \S+ (began|verified)", out)
            in_turn = [(host.address, word) for host in three for word in ("began", "verified")]
            assert said == in_turn


def test_a_host_that_is_refused_stops_all(workplace: Workplace, three: list[Played]) -> None:
    """Known before the run has changed anything: better none than half of them."""
    attempt = {"kind": "release", "id": "x", "by": "ann@desk", "started": 1}
    three[2].apps({**_history("1a"), "attempt": attempt}, active=True)
    status, out = workplace.release()
    assert status == 1
    assert [bool(host.started) for host in three] == [False] * 3
    assert "ann@desk" in out
    assert out.count(f"not attempted, because {three[2].address} failed") == 2


LISTED = """\
from gpuhost.host.app import all_released
from gpuhost.host.start import begin

if settings := begin():
    all_released(settings)
"""


def test_the_apps_that_each_host_lists(workplace: Workplace, three: list[Played]) -> None:
    """Each its own, and what one of them lacks is no other's affair."""
    (workplace.path / "listed.py").write_text(LISTED)
    (workplace.path / "apps/asr.yaml").write_text("services: {asr: {image: 'asr:1'}}\n")
    for host, apps in zip(three, (["tts", "asr"], ["asr"], ["nothing"]), strict=True):
        host.login["apps"] = apps
        host.looks(ENDED, ENDED)
    status, out = workplace.run("listed.py", "-y")
    assert status == 1
    assert "nothing: apps/nothing.yaml: there is no such file" in out
    released = [sorted(path.name for path in host.home.parent.glob("*")) for host in three]
    assert released == [["asr", "lib", "tts"], ["asr", "lib"], []]
    places = _position(out, "Starting operation: Release tts", "Starting operation: Release asr")
    assert places == sorted(places)


def _history(*names: str, **results: dict[str, Any]) -> dict[str, Any]:
    """An app with these verified releases, newest first."""
    releases = [
        {
            "id": f"2026010{name[0]}-000000-{name}", "inputs": name * 8, "revision": name * 5,
            "by": "me@here", "project": "tts", "rollback_of": "",
            "result": {"state": "verified", **results.get(name, {})},
        }
        for name in names
    ]  # fmt: skip
    return {
        "name": "tts", "current": releases[0]["id"], "given": None, "attempt": None,
        "releases": releases, "backups": [],
    }  # fmt: skip


def _roll_back(workplace: Workplace, *words: str) -> tuple[int, str]:
    deploy = str(ROOT / "deploys" / "rollback.py")
    return workplace.run(deploy, "--data", "app=tts", *(words or ("-y",)))


def test_back_to_the_release_before(workplace: Workplace, host: Played) -> None:
    host.apps(_history("3c", "2b", "1a"))
    (host.home / "releases").mkdir(parents=True)
    status, out = _roll_back(workplace, "--dry")
    assert (status, host.started) == (0, [])
    assert "tts: would roll back from 20260103-000000-3c (revision 3c3c3c3c3c)" in out
    status, out = _roll_back(workplace)
    assert status == 0, out
    verb, home, release, *rest = host.started[host.started.index("rollback") :]
    assert (verb, home, rest[:2]) == ("rollback", str(host.home), ["--to", "20260102-000000-2b"])
    assert release.endswith("-2b2b2b2b")
    assert "verified after" in out


def test_back_to_a_release_by_its_id(workplace: Workplace, host: Played) -> None:
    host.apps(_history("3c", "2b", "1a"))
    (host.home / "releases").mkdir(parents=True)
    status, out = _roll_back(workplace, "-y", "--data", "release=20260101-000000-1a")
    assert status == 0, out
    assert "20260101-000000-1a" in host.started


def test_nothing_to_go_back_to(workplace: Workplace, host: Played) -> None:
    host.apps(_history("2b", "1a", **{"1a": {"state": "failed"}}))
    status, out = _roll_back(workplace, "-y", "--data", "release=20260101-000000-1a")
    assert status == 1
    assert "20260101-000000-1a is no verified release of it; there are: 20260102-000000-2b" in out
    assert host.started == []
