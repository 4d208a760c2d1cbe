"""deploys/app.py on several hosts: one after another, in batches, each with its own apps."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import sshd as sshd
from tests.cli.sshd import ADDRESSES, Sshd
from tests.release.workplace import (
    APP,
    ENDED,
    FAILED,
    Played,
    Workplace,
    history,
    played,
    positions,
    released,
)
from tests.release.workplace import workplace as workplace

pytestmark = pytest.mark.slow


@pytest.fixture
def three(workplace: Workplace, tmp_path: Path, sshd: Sshd) -> list[Played]:
    workplace.hosts += [played(tmp_path, sshd, address) for address in ADDRESSES[1:3]]
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
            said = re.findall(r"\[([0-9.]+)\] release \S+ (started|verified)", out)
            run_action = [
                (host.address, word) for host in three for word in ("started", "verified")
            ]
            assert said == run_action


def test_a_host_that_is_refused_stops_all(workplace: Workplace, three: list[Played]) -> None:
    """Known before the run has changed anything: better none than half of them."""
    attempt = {"kind": "release", "id": "x", "by": "ann@desk", "started": 1}
    three[2].apps({**history("1a"), "attempt": attempt}, active=True)
    status, out = workplace.release()
    assert status == 1
    assert [bool(host.started) for host in three] == [False] * 3
    assert "ann@desk" in out
    assert out.count(f"not attempted, because {three[2].address} failed") == 2


NEEDS_LOGROTATE = APP.replace("x-gpuhost:\n", "x-gpuhost:\n  logs: {files: [a.log]}\n")


def test_who_fails_before_its_turn_stops_the_rest_too(
    workplace: Workplace, three: list[Played]
) -> None:
    (workplace.path / "apps/tts.yaml").write_text(NEEDS_LOGROTATE)
    three[0].write("fails", "apt-get")
    status, out = workplace.release()
    assert status == 1
    assert [bool(host.started) for host in three] == [False] * 3
    assert out.count(f"not attempted, because {three[0].address} failed") == 2


def test_who_has_it_already_has_not_failed(workplace: Workplace, three: list[Played]) -> None:
    last = three[2]
    workplace.hosts = [last]
    last.apps(released(workplace, last))
    workplace.hosts = three
    three[0].looks(FAILED)
    status, out = workplace.release()
    assert status == 1
    assert re.findall(r"\[([0-9.]+)\] tts: not attempted", out) == [three[1].address]


LISTED = """\
from gpuhost.steps.apps import deploy_all
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    deploy_all(settings)
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
    assert "nothing: apps/nothing.yaml: no such file" in out
    released = [sorted(path.name for path in host.home.parent.glob("*")) for host in three]
    assert released == [["asr", "lib", "tts"], ["asr", "lib"], []]
    places = positions(out, "Starting operation: Release tts", "Starting operation: Release asr")
    assert places == sorted(places)
