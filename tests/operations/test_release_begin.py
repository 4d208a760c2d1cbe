"""The script that installs a release on its host: completely or not at all, one at a time."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpuhost.release.secrets import GivenSecrets, SecretValue
from gpuhost.remote.commands import script_text
from gpuhost.rollout.bundle import Bundle, bundle
from gpuhost.runner.plan import Plan
from tests.release.fake_host import SYSTEMCTL, SYSTEMD_RUN
from tests.runner.restore_fixtures import Mount, mounted

__all__ = ["mounted"]

SCRIPT = script_text("release_begin.sh")
ID = "20261122-010203-aabbccdd"
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
BUNDLE = bundle(
    Plan("tts", ID, "i", "me@here", "tts", "r"), GivenSecrets({"KEY": SecretValue("s3cret")}),
    compose=b"services: {}\n", nginx="server {}\n", archive=os.urandom(300_000),
    overlay=None, runner=b"runner", unit="[Unit]\n",
)  # fmt: skip


def with_signals() -> None:
    """Under nohup, or behind `&` in a shell, some would be ignored."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


@dataclass
class Machine:
    """The directories of a host, with stand-ins for systemd's commands."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "opt/gpuhost/tts"

    @property
    def environment(self) -> dict[str, str]:
        return {"PLAYED": str(self.root), "PATH": f"{self.root}/bin:{os.environ['PATH']}"}

    def arguments(self, sent: Bundle) -> list[str]:
        unit = self.root / "gpuhost-resume@.service"
        return [
            str(self.home), ID, "gpuhost-release-tts.service", "600", "a release", str(unit),
            "runner-x.pyz", sent.sha256, "release",
        ]  # fmt: skip

    def begin(
        self, *, lines: list[str] | None = None, sent: Bundle = BUNDLE, umask: int = 0o022
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", SCRIPT, "sh", *self.arguments(sent)],
            input="".join(f"{line}\n" for line in (sent.lines() if lines is None else lines)),
            env=self.environment,
            capture_output=True,
            text=True,
            umask=umask,
            timeout=60,
        )

    def unfinished(self, lines: list[str]) -> subprocess.Popen[str]:
        """A delivery of which so much arrives, and no end."""
        sent = subprocess.Popen(
            ["sh", "-c", SCRIPT, "sh", *self.arguments(BUNDLE)],
            stdin=subprocess.PIPE, text=True, env=self.environment, start_new_session=True,
            preexec_fn=with_signals,
        )  # fmt: skip
        assert sent.stdin is not None
        sent.stdin.write("\n".join(lines))
        sent.stdin.flush()
        return sent

    def tree(self) -> set[str]:
        return {str(path.relative_to(self.home)) for path in self.home.rglob("*")}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name, text in (("systemctl", SYSTEMCTL), ("systemd-run", SYSTEMD_RUN)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "opt").mkdir()
    return Machine(tmp_path)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_complete_transfer(machine: Machine, umask: int) -> None:
    done = machine.begin(umask=umask)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    release = machine.home / "releases" / ID
    modes = {
        str(path.relative_to(machine.root / "opt")): f"{path.stat().st_mode & 0o777:o}"
        for path in (machine.home, machine.home / "releases", release, release / "given.json")
    }
    assert list(modes.values()) == ["755", "700", "700", "600"]
    assert (machine.home / "runner.pyz").read_bytes() == b"runner"
    assert (machine.root / "started").read_text().splitlines()[-3:] == [
        "release", str(machine.home), ID,
    ]  # fmt: skip
    assert not any(name.endswith(".new") for name in machine.tree())


def test_an_open_directory_of_releases_is_closed(machine: Machine) -> None:
    """Whoever can open it can hold its lock: every release would be refused."""
    releases = machine.home / "releases"
    releases.mkdir(parents=True)
    releases.chmod(0o755)
    assert machine.begin().returncode == 0
    assert releases.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_an_incomplete_transfer_leaves_nothing_and_starts_nothing(
    machine: Machine, kept: int
) -> None:
    assert len(BUNDLE.lines()) > 3
    done = machine.begin(lines=BUNDLE.lines()[:kept])
    assert done.returncode == 1
    assert "the release did not arrive completely" in done.stderr
    assert machine.tree() == {"releases"}
    assert not (machine.root / "started").exists()


def test_one_changed_byte_is_refused(machine: Machine) -> None:
    lines = BUNDLE.lines()
    lines[1] = ("B" if lines[1][0] == "A" else "A") + lines[1][1:]
    assert "did not arrive completely" in machine.begin(lines=lines).stderr


def test_a_locked_app_is_not_changed(machine: Machine) -> None:
    assert machine.begin().returncode == 0
    (machine.root / "active").write_text("active\n")
    (machine.home / "attempt.json").write_text('{"by": "ann@desk"}')
    before = machine.tree()
    done = machine.begin()
    assert (done.returncode, done.stdout) == (75, '{"by": "ann@desk"}')
    assert machine.tree() == before


def test_a_release_that_starts_first_wins(machine: Machine) -> None:
    (machine.root / "active after").write_text("activating\n")
    (machine.root / "refuse").write_text("already loaded\n")
    done = machine.begin()
    assert (done.returncode, done.stdout) == (75, "{}\n")
    assert list((machine.home / "releases").iterdir()) == []


def refused_start(machine: Machine, after: str, text: str = "activating\n") -> None:
    (machine.root / after).write_text(text)
    (machine.root / "refuse").write_text("already loaded\n")


def test_the_directory_of_a_release_that_runs_is_kept(machine: Machine) -> None:
    """The same was sent twice, or the start was reported as failed and was not."""
    refused_start(machine, "active after")
    (machine.root / "description").write_text(f"gpuhost: release {ID} by ann@desk\n")
    assert machine.begin().returncode == 0
    assert (machine.home / "releases" / ID / "plan.json").exists()


def test_the_directory_is_kept_if_systemd_does_not_say_whether_it_runs(machine: Machine) -> None:
    refused_start(machine, "silent after")
    assert machine.begin().returncode == 124
    assert (machine.home / "releases" / ID / "plan.json").exists()


def test_nothing_is_sent_to_a_systemd_that_does_not_answer(machine: Machine) -> None:
    (machine.root / "silent").touch()
    done = machine.begin()
    assert (done.returncode, "does not answer" in done.stderr) == (1, True)
    assert machine.tree() == {"releases"}


def test_a_rollback_that_could_not_start_removes_nothing(machine: Machine) -> None:
    assert machine.begin().returncode == 0
    refused_start(machine, "active after")
    assert machine.begin(sent=Bundle(b"", ""), lines=[]).returncode == 75
    assert (machine.home / "releases" / ID / "plan.json").exists()


def test_a_second_delivery_is_refused_and_leaves_the_first_alone(machine: Machine) -> None:
    first = machine.home / "releases" / f".{ID}.new"
    first.mkdir(parents=True)
    directory = os.open(first.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        assert machine.begin().returncode == 75
        assert first.is_dir()
    finally:
        os.close(directory)
    assert machine.begin().returncode == 0
    assert not first.exists()


def test_an_existing_directory_is_not_overwritten(machine: Machine) -> None:
    assert machine.begin().returncode == 0
    (machine.root / "started").unlink()
    done = machine.begin()
    assert done.returncode == 1
    assert "Directory not empty" in done.stderr
    assert (machine.home / "releases" / ID / "plan.json").exists()
    assert not (machine.root / "started").exists()


def test_the_boot_unit_is_installed_once(machine: Machine) -> None:
    assert machine.begin().returncode == 0
    calls = (machine.root / "calls").read_text()
    assert calls.count("enable --root=/ --quiet") == 1
    assert "daemon-reload" not in calls, "it would take the cards from running containers"
    (machine.root / "calls").unlink()
    (machine.home / "releases" / ID).rename(machine.home / "releases" / "older")
    assert machine.begin().returncode == 0
    calls = (machine.root / "calls").read_text()
    assert "daemon-reload" not in calls
    assert "enable" not in calls.replace("is-enabled", "")


def test_a_boot_unit_of_another_version_is_loaded_again(machine: Machine) -> None:
    assert machine.begin().returncode == 0
    (unit,) = (path for path in machine.root.rglob("gpuhost-resume@.service"))
    unit.write_text("# older\n")
    (machine.home / "releases" / ID).rename(machine.home / "releases" / "older")
    (machine.root / "calls").unlink()
    assert machine.begin().returncode == 0
    assert (machine.root / "calls").read_text().count("daemon-reload") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_full_disk_leaves_the_runner_of_the_other_apps(machine: Machine, mounted: Mount) -> None:
    """It is the same file, and the app's own directory is on another disk."""
    apps = machine.home.parent
    mounted("-t", "tmpfs", "-o", "size=64k", "none", machine.root / "opt")
    (apps / "lib").mkdir(parents=True)
    machine.home.mkdir()
    mounted("-t", "tmpfs", "none", machine.home)
    runner = apps / "lib/runner-x.pyz"
    runner.write_bytes(b"of another app")
    with suppress(OSError):
        (apps / "filler").write_bytes(b"x" * (1 << 16))
    done = machine.begin()
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert [path.read_bytes() for path in (apps / "lib").iterdir()] == [b"of another app"]
    (apps / "filler").unlink()
    assert machine.begin().returncode == 0
    assert [path.read_bytes() for path in (apps / "lib").iterdir()] == [b"runner"]


@pytest.mark.parametrize("ended_by", ENDING)
def test_a_delivery_that_is_ended_leaves_no_secrets(machine: Machine, ended_by: int) -> None:
    sent = machine.unfinished(BUNDLE.lines()[:-1])
    new = machine.home / "releases" / f".{ID}.new"
    while not new.is_dir():
        assert sent.poll() is None
        time.sleep(0.01)
    os.killpg(sent.pid, ended_by)
    assert sent.wait(timeout=20) != 0
    # The shell within the shell may still delete it.
    until = time.monotonic() + 20
    while new.is_dir() and time.monotonic() < until:
        time.sleep(0.01)
    assert machine.tree() == {"releases"}


@pytest.mark.parametrize("attempt", ["pipe", "link to a device"])
def test_a_state_file_of_any_kind_blocks_no_delivery(machine: Machine, attempt: str) -> None:
    assert machine.begin().returncode == 0
    (machine.root / "active").write_text("active\n")
    file = machine.home / "attempt.json"
    if attempt == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    done = machine.begin()
    assert (done.returncode, done.stdout) == (75, "{}\n")
