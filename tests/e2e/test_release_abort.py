"""gpuhost abort: a release in progress, or one whose runner was stopped, is undone, and says so."""

from __future__ import annotations

import re

import pytest

from tests.e2e.app_host import ready_for_apps
from tests.e2e.releasing import App, ask
from tests.e2e.test_release_cut import PORT, cut_at
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost

pytestmark = pytest.mark.lab
STOP = "systemctl stop gpuhost-release-two-second.service"
# Nobody waits that long: the test would fail at its own time limit.
LONG_S = 300
HOURLY = 'HEALTHCHECK --interval=1h CMD ["curl", "-fsS", "http://127.0.0.1:3010/api/health"]\n'


@pytest.fixture(scope="module")
def host(hosts: Hosts) -> LabHost:
    return ready_for_apps(hosts, "app-abort", card=None)


@pytest.fixture(scope="module")
def app(host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> App:
    """The first release; its image has a health check that the engine runs once an hour."""
    made = App("two-second", tmp_path_factory.mktemp("project"), {})
    made.write(revision="first", loads_s=1)
    add_to_dockerfile(made, HOURLY)
    ended = made.run(host, timeout=100)
    assert ended.status == 0, ended.output
    return made


def add_to_dockerfile(app: App, text: str) -> None:
    with (app.project / "source" / "Dockerfile").open("a") as file:
        file.write(text)


def abort(app: App, host: LabHost) -> str:
    ended = app.run(host, deploy="abort.py", timeout=100)
    assert ended.status == 0, ended.output
    return ended.output


def answers(host: LabHost) -> str:
    return str(ask(host, "/api/health", port=PORT)["revision"])


@pytest.mark.parametrize(
    ("stage", "state", "says"),
    [("build", "failed", "changed nothing"), ("verify", "restored", "rolled back to")],
)
def test_a_release_in_progress_is_undone(
    app: App, host: LabHost, stage: str, state: str, says: str
) -> None:
    app.write(revision=f"aborted-{stage}", loads_s=LONG_S)
    if stage == "build":
        add_to_dockerfile(app, f"RUN sleep {LONG_S}\n")
    with cut_at(host, stage, "true"):
        first = app.start(host)
    output = abort(app, host)
    assert re.search(rf"release \S+ aborted by \S+ in stage {stage}", output), output
    assert says in output
    watched, _ = first.communicate(timeout=60)
    assert first.returncode == 1
    assert f"in stage {stage}" in watched
    assert "aborted by" in watched
    result = app.result(host)
    assert (result["state"], bool(result["aborted_by"])) == (state, True)
    assert app.status(host)["attempt"] is None
    assert answers(host) == "first"
    assert host.run("pgrep -x sleep", check=False).stdout == "", "the build has ended too"


def test_a_stopped_release_is_undone_and_never_finished(app: App, host: LabHost) -> None:
    app.write(revision="stopped", loads_s=1)
    with cut_at(host, "up", STOP):
        first = app.start(host)
    output = abort(app, host)
    assert re.search(r"aborts release \S+ by \S+, since", output), output
    assert "  restore " in output, "its log was followed"
    assert "rolled back to" in output
    first.communicate(timeout=60)
    assert first.returncode == 1
    assert (app.result(host)["state"], answers(host)) == ("restored", "first")


def test_a_release_after_a_stop_says_what_it_does_first(app: App, host: LabHost) -> None:
    app.write(revision="interrupted", loads_s=1)
    with cut_at(host, "build", STOP):
        first = app.start(host)
    interrupted = app.status(host)["attempt"]["id"]
    first.kill()
    first.communicate()
    app.write(revision="next", loads_s=1)
    ended = app.run(host, timeout=100)
    assert ended.status == 0, ended.output
    said = [f"first finishes or undoes release {interrupted}", "  up ", f"{interrupted} verified"]
    places = [ended.output.index(text) for text in said]
    assert places == sorted(places)
    assert answers(host) == "next"


def test_nothing_in_progress(app: App, host: LabHost) -> None:
    ended = app.run(host, deploy="abort.py")
    assert ended.changed_nothing, ended.output
    assert "two-second: nothing is in progress" in ended.output
