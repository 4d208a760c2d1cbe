"""`gpuhost logs` over SSH: this machine is the host, with a directory in place of /opt/gpuhost."""

from __future__ import annotations

import fcntl
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import GPUHOST, Run, Workplace
from tests.cli.sshd import ADDRESSES, Sshd

pytestmark = pytest.mark.slow

GOOD, OTHER, THIRD = ADDRESSES[:3]
OLD, NEW = "20261121-010203-aabbccdd", "20261122-010203-11223344"
REPOSITORY = Path(__file__).parents[2]
# The host runs the runner's own `follow`.
RUNNER = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(REPOSITORY)!r})
from gpuhost.runner.state.follow import follow
from gpuhost.runner.contract import AppPaths
verb, app, id, offset, seconds = sys.argv[1:]
assert verb == "follow"
follow(AppPaths(Path(app)), id, int(offset), float(seconds))
"""
BUILD = "01:02:03 == build\n"
DEADLINE_S = 60


@dataclass(frozen=True)
class AppHome:
    """An app's directory on the simulated host."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "tts"

    def release(self, id: str, log: str) -> Path:
        home = self.home / "releases" / id
        home.mkdir(parents=True)
        (home / "plan.json").write_text(json.dumps({"project": "tts", "by": "ann@desk"}))
        (home / "log").write_text(log)
        return home

    def ended(self, id: str, state: str = "verified") -> None:
        names = ("app", "kind", "by", "revision", "inputs")
        result = {**dict.fromkeys(names, "x"), "id": id, "state": state, "started": 1, "ended": 2}
        (self.home / "releases" / id / "result.json").write_text(json.dumps(result))

    def append(self, id: str, text: str) -> None:
        with (self.home / "releases" / id / "log").open("a") as log:
            log.write(text)

    @contextmanager
    def in_progress(self, id: str, *, kind: str = "release") -> Iterator[None]:
        """A release is in progress and holds its lock."""
        begun = {"kind": kind, "id": id, "by": "ann@desk", "started": 1795300000.0}
        (self.home / "attempt.json").write_text(json.dumps(begun))
        with (self.home / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
            (self.home / "attempt.json").unlink()

    def command(self, before: str = "") -> str:
        """The command of a login: runs the script that it receives, for this directory."""
        # The test machine may have no systemd; only the probes of apps are needed.
        edits = (
            f"s#/opt/gpuhost#{self.root}#g",
            "s#app_units systemctl#app_units true#",
            "s#^probe() {#probe() { case $1 in apps|app_units|files) ;; *) return ;; esac#",
        )
        place = shlex.quote(";".join(edits))
        script = self.root / "session.sh"
        script.write_text(f"text=$(cat | sed {place})\n{before}\nprintf '%s\\n' \"$text\" | sh\n")
        return f"exec sh {script}"


@pytest.fixture
def app(tmp_path: Path) -> AppHome:
    """Two releases that have ended."""
    made = AppHome(tmp_path / "opt")
    (made.root / "lib").mkdir(parents=True)
    (made.root / "lib" / "runner-1.pyz").write_text(RUNNER)
    made.home.mkdir()
    (made.home / "runner.pyz").symlink_to("../lib/runner-1.pyz")
    made.release(OLD, f"{BUILD}01:02:04 old\n")
    made.release(NEW, f"{BUILD}01:02:04 \x1b[32mgr\x1b]0;t\x07\x9büß\tnew\x1b[0m\n")
    made.ended(OLD)
    made.ended(NEW, "restored")
    return made


@pytest.fixture
def logs(workplace: Workplace, sshd: Sshd, app: AppHome) -> Callable[..., Run]:
    def run(*options: str, hosts: dict[str, Any] | None = None) -> Run:
        inventory = workplace.inventory(hosts or {GOOD: sshd.login(app.command())})
        return workplace.gpuhost("logs", str(inventory), *options, timeout=DEADLINE_S)

    return run


def test_the_newest_log_or_that_of_a_release(
    workplace: Workplace, sshd: Sshd, app: AppHome
) -> None:
    """The newest or the given release; without control characters."""
    logs = ["logs", str(workplace.inventory({GOOD: sshd.login(app.command())})), "--app"]
    no_release = "20200101-000000-00000000"
    newest, old, none, other = workplace.many(
        [*logs, "tts"],
        [*logs, "tts", "--release", OLD],
        [*logs, "tts", "--release", no_release],
        [*logs, "other"],
    )
    assert (newest.exit, newest.out, newest.err) == (0, f"{BUILD}01:02:04 gr?üß    new\n", "")
    assert (old.exit, old.out) == (0, f"{BUILD}01:02:04 old\n")
    assert (none.exit, none.out) == (1, "")
    assert f"{GOOD}: no release {no_release} of tts; known: {NEW}, {OLD}" in none.err
    assert (other.exit, other.out) == (1, "")
    assert f"{GOOD}: no app other" in other.err


def test_as_json(logs: Callable[..., Run]) -> None:
    run = logs("--app", "tts", "--json")
    assert run.exit == 0
    lines = [json.loads(line) for line in run.out.splitlines()]
    assert lines[0] == {"host": GOOD, "app": "tts", "release": NEW, "line": "01:02:03 == build"}
    assert lines[1]["line"] == "01:02:04 gr?üß new"
    assert len(lines) == 2


def test_a_long_log_is_complete(logs: Callable[..., Run], app: AppHome) -> None:
    lines = [f"01:02:05 line {number}: {'é' * 40}\n" for number in range(8000)]
    app.append(NEW, "".join(lines))
    run = logs("--app", "tts")
    assert run.exit == 0
    assert run.out.splitlines(keepends=True)[2:] == lines


def test_the_log_in_progress_so_far(logs: Callable[..., Run], app: AppHome) -> None:
    (app.home / "releases" / OLD / "result.json").unlink()
    with app.in_progress(OLD):
        run = logs("--app", "tts")
    assert (run.exit, run.out) == (0, f"{BUILD}01:02:04 old\n")
    assert "in progress: --follow shows the log until it ends" in run.err


def test_several_hosts(logs: Callable[..., Run], sshd: Sshd, app: AppHome) -> None:
    """Lines begin with their host; a host that cannot be read does not affect the others."""
    login = sshd.login(app.command())
    stranger = {**login, "ssh_known_hosts_file": str(app.root / "none")}
    run = logs("--app", "tts", hosts={GOOD: login, OTHER: login, THIRD: stranger})
    assert run.exit == 3
    for host in (GOOD, OTHER):
        assert [line for line in run.out.splitlines() if line.startswith(host)] == [
            f"{host} | 01:02:03 == build",
            f"{host} | 01:02:04 gr?üß    new",
        ]
    assert THIRD not in run.out
    assert f"{THIRD}: unreachable: unknown host key" in run.err


def test_a_greeting_of_the_login_shell(logs: Callable[..., Run], sshd: Sshd, app: AppHome) -> None:
    """Before the reading and before the log (ansible#2268)."""
    greeted = logs("--app", "tts", hosts={GOOD: sshd.login(app.command("echo Welcome"))})
    assert greeted == logs("--app", "tts")
    assert "01:02:03 == build" in greeted.out


def test_no_runner(logs: Callable[..., Run], app: AppHome) -> None:
    (app.root / "lib" / "runner-1.pyz").unlink()
    run = logs("--app", "tts")
    assert run.exit == 1
    assert "tts has no runner that reads its log" in run.err


def test_an_invalid_answer_of_the_runner(logs: Callable[..., Run], app: AppHome) -> None:
    (app.root / "lib" / "runner-1.pyz").write_text("print('hello')")
    run = logs("--app", "tts")
    assert run.exit == 3
    assert f"no answer from {GOOD}: unexpected answer: hello" in run.err


def test_a_runner_that_fails(logs: Callable[..., Run], app: AppHome) -> None:
    (app.root / "lib" / "runner-1.pyz").write_text("raise SystemExit('no such thing')")
    run = logs("--app", "tts")
    assert run.exit == 3
    assert "reading the log failed: no such thing" in run.err


BACKUP = "20261121-033000-schedule"


@pytest.fixture
def restored(app: AppHome) -> AppHome:
    """A backup that was restored: the log is beside it."""
    home = app.home / "backups" / BACKUP
    home.mkdir(parents=True)
    (home / "manifest.json").write_text('{"app": "tts"}')
    (home / "log").write_text("01:02:03 == stage\n01:02:04 laid out\n")
    return app


def test_a_restore_in_progress_is_shown(logs: Callable[..., Run], restored: AppHome) -> None:
    with restored.in_progress(BACKUP, kind="restore"):
        run = logs("--app", "tts")
    assert (run.exit, run.out) == (0, "01:02:03 == stage\n01:02:04 laid out\n")
    assert "in progress: --follow shows the log until it ends" in run.err


def test_following_a_restore(workplace: Workplace, sshd: Sshd, restored: AppHome) -> None:
    home = restored.home / "backups" / BACKUP
    with ExitStack() as work:
        work.enter_context(restored.in_progress(BACKUP, kind="restore"))
        with following(workplace, sshd.login(restored.command())) as it:
            it.until("laid out")
            with (home / "log").open("a") as log:
                log.write("01:02:05 == exchange\n")
            it.until("== exchange")
            result = dict.fromkeys(("app", "kind", "by", "revision", "inputs"), "x")
            ended = {**result, "id": BACKUP, "state": "verified", "started": 1, "ended": 2}
            (home / "result.json").write_text(json.dumps(ended))
            work.close()
            assert it.rest() == (0, "", "")


def test_a_restore_that_has_ended(logs: Callable[..., Run], restored: AppHome) -> None:
    run = logs("--app", "tts", "--release", BACKUP)
    assert (run.exit, run.out) == (0, "01:02:03 == stage\n01:02:04 laid out\n")
    newest = logs("--app", "tts")
    assert "new" in newest.out


@dataclass
class Following:
    process: subprocess.Popen[str]

    def until(self, words: str) -> None:
        """Reads lines until one contains these words."""
        assert self.process.stdout
        for line in self.process.stdout:
            if words in line:
                return
        raise AssertionError(f"it ended without {words}: {self.rest()}")

    def rest(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=DEADLINE_S)
        assert "Traceback" not in err
        return self.process.returncode, out, err


@contextmanager
def following(workplace: Workplace, login: dict[str, Any]) -> Iterator[Following]:
    process = subprocess.Popen(
        [GPUHOST, "logs", workplace.inventory({GOOD: login}), "--app", "tts", "--follow"],
        cwd=workplace.path,
        env={**workplace.environment(), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Following(process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def under_way(app: AppHome) -> Iterator[AppHome]:
    (app.home / "releases" / NEW / "result.json").unlink()
    with app.in_progress(NEW):
        yield app


def test_following_ends_with_the_release(workplace: Workplace, sshd: Sshd, app: AppHome) -> None:
    (app.home / "releases" / NEW / "result.json").unlink()
    with following(workplace, sshd.login(app.command())) as it:
        with app.in_progress(NEW):
            it.until("new")
            app.append(NEW, "01:02:06 == up\n")
            it.until("== up")
            app.append(NEW, "01:02:07 restored\n")
            app.ended(NEW, "restored")
        assert it.rest() == (0, "01:02:07 restored\n", "")


def test_following_when_nothing_is_in_progress(
    workplace: Workplace, sshd: Sshd, app: AppHome
) -> None:
    with following(workplace, sshd.login(app.command())) as it:
        it.until("new")
        assert it.rest() == (0, "", "")


def test_interrupted(workplace: Workplace, sshd: Sshd, under_way: AppHome) -> None:
    with following(workplace, sshd.login(under_way.command())) as it:
        it.until("new")
        it.process.send_signal(signal.SIGINT)
        status, out, err = it.rest()
    assert (status, out) == (130, "")
    assert "interrupted; a release in progress continues on the host" in err


def test_a_lost_connection(workplace: Workplace, sshd: Sshd, app: AppHome) -> None:
    """The log continues where it was cut off: no line twice, none missing."""
    (app.home / "releases" / NEW / "result.json").unlink()
    cut = app.root / "cut"
    # The sshd of the session is killed at the first `follow` after the flag exists.
    before = f'case $text in *" follow "*) [ -e {cut} ] && rm {cut} && kill -9 $PPID;; esac'
    with following(workplace, sshd.login(app.command(before))) as it:
        with app.in_progress(NEW):
            it.until("new")
            cut.touch()
            app.append(NEW, "01:02:06 == up\n")
            it.until("== up")
            deadline = time.monotonic() + DEADLINE_S
            app.append(NEW, "01:02:07 == verify\n")
            it.until("== verify")
            while cut.exists():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            app.append(NEW, "01:02:08 verified\n")
            app.ended(NEW)
        status, out, err = it.rest()
    assert (status, out) == (0, "01:02:08 verified\n")
    assert f"{GOOD}: no answer; the release continues on {GOOD}; retrying for 600 s" in err
    assert f"{GOOD}: reconnected" in err


def test_the_runner_runs_with_the_system_python() -> None:
    """The fake runner is run by `python3`, not by the Python of the tests."""
    done = subprocess.run(["python3", "-I", "-c", RUNNER], capture_output=True, text=True)
    assert "not enough values to unpack" in done.stderr, sys.version
