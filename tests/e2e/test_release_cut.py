"""A release that is interrupted at any stage completes: no data is lost, and nothing hangs."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from gpuhost.runner.stages import transaction
from tests.e2e.app_host import ready_for_apps
from tests.e2e.releasing import App, Ended, ask
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost

pytestmark = pytest.mark.lab
STAGES = [stage.name for stage in (*transaction.PREPARING, *transaction.ACTIVATING)]
PORT = 3010
# Enough for a host to boot, and to finish an interrupted release.
CONVERGES_S = 120

# Waits until a release that is newer than this script begins a stage, then runs the command.
CUT = """
import glob, os, subprocess, sys, time
stage, cut, began = sys.argv[1], sys.argv[2], time.time()
seen = '"begin", "stage": "%s"' % stage
while time.time() < began + 90:
    for journal in glob.glob("/opt/gpuhost/two-second/releases/*/journal"):
        if os.stat(journal).st_mtime >= began and seen in open(journal).read():
            sys.exit(subprocess.call(cut, shell=True))
sys.exit("the stage never began")
"""
KILL_RUNNER = "systemctl kill --kill-whom=main -s KILL gpuhost-release-two-second.service"


@pytest.fixture(scope="module")
def host(hosts: Hosts) -> LabHost:
    return ready_for_apps(hosts, "app-cut", card=None)


@pytest.fixture(scope="module")
def app(host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> App:
    made = App("two-second", tmp_path_factory.mktemp("project"), {})
    made.write(revision="first", loads_s=0)
    ended = made.run(host)
    assert ended.status == 0, ended.output
    ask(host, "/rows", post="kept", port=PORT)
    return made


@contextlib.contextmanager
def cut_at(host: LabHost, stage: str, cut: str) -> Iterator[None]:
    """Run a command when the next release begins a stage; the block starts that release."""
    errors: list[str] = []

    def wait() -> None:
        done = host.run(f"python3 - {stage} '{cut}'", stdin=CUT.encode(), timeout=100, check=False)
        errors.append(done.stderr if done.status else "")

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        yield
    finally:
        waiting.join()
    assert errors == [""]


def assert_converged(app: App, host: LabHost, revision: str) -> None:
    """The release runs with its previous data, and no operation is unfinished."""
    deadline = time.monotonic() + CONVERGES_S
    while app.status(host)["attempt"] is not None or ask(host, "/api/health", port=PORT) is None:
        assert time.monotonic() < deadline, app.status(host)
        time.sleep(1)
    answers = ask(host, "/api/health", port=PORT)["revision"]
    assert answers == revision, app.result(host)
    assert "kept" in ask(host, "/rows", port=PORT)
    again = app.run(host)
    assert again.changed_nothing, again.output


@pytest.mark.parametrize("stage", STAGES)
def test_systemd_restarts_a_killed_runner(app: App, host: LabHost, stage: str) -> None:
    app.write(revision=f"runner-{stage}", loads_s=1, migrates_s=1)
    with cut_at(host, stage, KILL_RUNNER):
        ended = app.run(host)
    assert ended.status == 0, ended.output
    assert_converged(app, host, f"runner-{stage}")


@pytest.mark.parametrize("stage", ("build", "migrate", "up"))
def test_a_release_continues_without_its_controller(app: App, host: LabHost, stage: str) -> None:
    app.write(revision=f"controller-{stage}", loads_s=1, migrates_s=1)
    process = app.start(host)
    with cut_at(host, stage, "true"):
        pass
    assert kill(process)
    assert_converged(app, host, f"controller-{stage}")


@pytest.mark.parametrize("stage", ("build", "verify"))
def test_a_dropped_connection_is_opened_again(app: App, host: LabHost, stage: str) -> None:
    app.write(revision=f"ssh-{stage}", loads_s=3)
    with cut_at(host, stage, "pkill -9 -f sshd.*notty"):
        ended = app.run(host)
    assert ended.status == 0, ended.output
    assert_converged(app, host, f"ssh-{stage}")


@pytest.mark.parametrize("stage", ("build", "up"))
def test_a_rebooted_host_finishes_the_release(app: App, host: LabHost, stage: str) -> None:
    app.write(revision=f"boot-{stage}", loads_s=2)
    process = app.start(host)
    with cut_at(host, stage, "true"):
        pass
    assert kill(process)
    host.engine.docker("kill", host.state.container)
    host.start()
    assert_converged(app, host, f"boot-{stage}")


def test_a_second_operator_is_refused_while_a_release_runs(app: App, host: LabHost) -> None:
    app.write(revision="two-operators", loads_s=8)
    first = app.start(host)
    with cut_at(host, "up", "true"):
        pass
    second = app.run(host)
    assert second.status == 1, second.output
    assert "gpuhost logs" in second.output
    assert "refused, nothing was changed" in second.output
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 0, output
    assert_converged(app, host, "two-operators")


def test_ctrl_c_detaches_and_says_how_to_follow(app: App, host: LabHost) -> None:
    app.write(revision="detached", loads_s=6)
    ended = _interrupted(app, host, lambda: None)
    assert "gpuhost logs" in ended.output
    assert_converged(app, host, "detached")


def kill(process: subprocess.Popen[str]) -> bool:
    """Kill the controller; whether it was still running."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def _interrupted(app: App, host: LabHost, before: Callable[[], None]) -> Ended:
    process = app.start(host)
    with cut_at(host, "up", "true"):
        before()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    return Ended(process.returncode, output)
