"""deploys/app.py on several hosts: one after another, in batches, each with its own apps."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import sshd as sshd
from tests.cli.sshd import ADDRESSES, Sshd
from tests.release.workspace import (
    APP,
    ENDED,
    FAILED,
    FakeHost,
    Workspace,
    fake_host,
    history,
    positions,
    released,
)
from tests.release.workspace import workspace as workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def three(workspace: Workspace, tmp_path: Path, sshd: Sshd) -> list[FakeHost]:
    workspace.hosts += [fake_host(tmp_path, sshd, address) for address in ADDRESSES[1:3]]
    return workspace.hosts


def test_the_first_failure_stops_the_rest(workspace: Workspace, three: list[FakeHost]) -> None:
    three[1].set_follow_answers(FAILED)
    status, out = workspace.release()
    assert status == 1
    assert [bool(host.started) for host in three] == [True, True, False]
    assert f"tts: not attempted, because {three[1].address} failed; this host keeps" in out
    assert out.count("not attempted") == 1


def test_hosts_one_after_another_or_in_one_batch(
    workspace: Workspace, three: list[FakeHost]
) -> None:
    for batch in (1, 3):
        workspace.settings["app_batch"] = batch
        for host in three:
            host.set_follow_answers(ENDED)
            # The recorded clock does not move, so the id of the release would be the same.
            shutil.rmtree(host.home / "releases", ignore_errors=True)
        status, out = workspace.release()
        assert status == 0, out
        assert out.count("verified after") == 3
        if batch == 1:
            events = re.findall(r"\[([0-9.]+)\] release \S+ (started|verified)", out)
            expected = [(host.address, word) for host in three for word in ("started", "verified")]
            assert events == expected


def test_a_refused_host_stops_all(workspace: Workspace, three: list[FakeHost]) -> None:
    """The refusal is known before the first change, so no host is released."""
    attempt = {"kind": "release", "id": "x", "by": "ann@desk", "started": 1}
    three[2].apps({**history("1a"), "attempt": attempt}, active=True)
    status, out = workspace.release()
    assert status == 1
    assert [bool(host.started) for host in three] == [False] * 3
    assert "ann@desk" in out
    assert out.count(f"not attempted, because {three[2].address} failed") == 2


NEEDS_GIT = APP.replace("{directory: source}", f"{{git: 'https://git.example/x', ref: {'a' * 40}}}")


def test_a_failure_before_the_release_stops_the_rest(
    workspace: Workspace, three: list[FakeHost]
) -> None:
    (workspace.path / "apps/tts.yaml").write_text(NEEDS_GIT)
    three[0].write("fails", "apt-get")
    status, out = workspace.release()
    assert status == 1
    assert [bool(host.started) for host in three] == [False] * 3
    assert out.count(f"not attempted, because {three[0].address} failed") == 2


def test_a_host_that_already_has_the_release_is_not_reported(
    workspace: Workspace, three: list[FakeHost]
) -> None:
    last = three[2]
    workspace.hosts = [last]
    last.apps(released(workspace, last))
    workspace.hosts = three
    three[0].set_follow_answers(FAILED)
    status, out = workspace.release()
    assert status == 1
    assert re.findall(r"\[([0-9.]+)\] tts: not attempted", out) == [three[1].address]


LISTED = """\
from gpuhost.steps.apps import deploy_all
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    deploy_all(settings)
"""


def test_each_host_releases_the_apps_it_lists(workspace: Workspace, three: list[FakeHost]) -> None:
    """An unknown app on one host does not affect the others."""
    (workspace.path / "listed.py").write_text(LISTED)
    (workspace.path / "apps/asr.yaml").write_text("services: {asr: {image: 'asr:1'}}\n")
    for host, apps in zip(three, (["tts", "asr"], ["asr"], ["nothing"]), strict=True):
        host.login["apps"] = apps
        host.set_follow_answers(ENDED, ENDED)
    status, out = workspace.run("listed.py", "-y")
    assert status == 1
    assert "nothing: apps/nothing.yaml: no such file" in out
    released = [sorted(path.name for path in host.home.parent.glob("*")) for host in three]
    assert released == [["asr", "lib", "tts"], ["asr", "lib"], []]
    places = positions(out, "Starting operation: Release tts", "Starting operation: Release asr")
    assert places == sorted(places)
