"""Broken releases: the previous release stays or is restored, and the cause is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.app_host import ready_for_apps
from tests.e2e.releasing import App, ask
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost

pytestmark = [pytest.mark.lab, pytest.mark.matrix]
NAME = "english-listening-trainer"
BLOCK = "x-gpuhost"


@dataclass(frozen=True)
class Broken:
    """One way to break a release.

    + says: texts that the run must print
    + stage: the stage that fails; "": before the release starts
    + state: of the result; "": refused, there is no release
    + behaviour: of the stand-in
    + edits: of the app file
    + dockerfile: lines added to its end
    + before, after: commands on the host before and after the run
    """

    name: str
    says: tuple[str, ...]
    stage: str
    state: str
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    edits: Mapping[str, Any] = field(default_factory=dict)
    dockerfile: str = ""
    before: str = "true"
    after: str = "true"


BROKEN = (
    Broken(
        "exit",
        ("restart loop", "EADDRNOTAVAIL"),
        "up",
        "restored",
        {"broken": "exit"},
    ),
    Broken(
        "oom",
        ("out of memory",),
        "up",
        "restored",
        {"broken": "oom"},
        {f"{BLOCK}.resources.app": {"memory_gb": 0.1}},
    ),
    Broken(
        "fatal-log-line",
        ("PrismaClientInitializationError",),
        "up",
        "restored",
        {"broken": "fatal"},
    ),
    Broken(
        "never-healthy",
        ("not up after 20 s", "verify.start_s"),
        "up",
        "restored",
        {"broken": "never-healthy"},
        {f"{BLOCK}.verify.start_s": 20},
    ),
    Broken(
        "on-the-cpu",
        ("torch",),
        "verify",
        "restored",
        {"broken": "cpu"},
    ),
    Broken(
        "build-fails",
        ("no-such-command",),
        "build",
        "failed",
        dockerfile="RUN no-such-command\n",
    ),
    Broken(
        "build-killed",
        ("137", "memory"),
        "build",
        "failed",
        # Killed as by the kernel; a real OOM kill would use up the memory of the lab's machine.
        dockerfile="RUN sh -c 'kill -9 $$'; exit $?\n",
    ),
    Broken(
        "disk-full-in-build",
        ("No space left on device",),
        "build",
        "failed",
        dockerfile="RUN dd if=/dev/zero of=/dev/shm/full bs=1M count=100\n",
    ),
    Broken(
        "not-enough-disk",
        ("app.disk",),
        "",
        "",
        edits={f"{BLOCK}.build.disk_gb": 100000},
    ),
    Broken(
        "port-taken",
        ("app.ports", "3333", "python3"),
        "",
        "",
        edits={"services.app.ports": ["3333:3000"]},
        before="systemd-run --unit=taken python3 -m http.server 3333",
        after="systemctl stop taken",
    ),
    Broken(
        "nginx-is-broken-already",
        ("nginx", "no_such_directive", "not by this release"),
        "preflight",
        "failed",
        before="echo 'no_such_directive on;' >/etc/nginx/conf.d/broken.conf",
        after="rm /etc/nginx/conf.d/broken.conf",
    ),
    Broken(
        "nginx-refuses-the-site",
        ("nginx would refuse the site", "pcre2_compile() failed"),
        "preflight",
        "failed",
        # gpuhost itself does not validate regular expressions.
        edits={f"{BLOCK}.nginx.paths": {"~ /[[:nope:]]": {"timeout_s": 5}}},
    ),
    Broken(
        "network-with-other-labels",
        ("app.networks", f"{NAME}_other-net"),
        "",
        "",
        edits={
            "networks.other-net": {},
            "services.app.networks": ["app-net", "other-net"],
        },
        before=f"docker network create {NAME}_other-net",
        after=f"docker network rm {NAME}_other-net",
    ),
    Broken(
        "container-name-taken",
        ("app.names", "taken-by-hand"),
        "",
        "",
        edits={"services.app.container_name": "taken-by-hand"},
        before="docker create --name taken-by-hand stand-in/python true",
        after="docker rm taken-by-hand",
    ),
    Broken(
        "compose-refuses",
        ("services.app.cap_drop",),
        "render",
        "failed",
        edits={"services.app.cap_drop": "ALL"},
    ),
)


@pytest.fixture(scope="module")
def host(hosts: Hosts) -> LabHost:
    return ready_for_apps(hosts, "app-broken")


@pytest.fixture(scope="module")
def app(host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> App:
    made = App(NAME, tmp_path_factory.mktemp("project"))
    made.write(revision="good")
    ended = made.run(host)
    assert ended.status == 0, ended.output
    return made


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_a_broken_release(app: App, host: LabHost, case: Broken) -> None:
    good, attempts = app.current(host), _attempts(app, host)
    app.write(revision=case.name, edits=case.edits, **case.behaviour)
    with (app.project / "source" / "Dockerfile").open("a") as file:
        file.write(case.dockerfile)
    host.run(case.before)
    try:
        ended = app.run(host)
    finally:
        host.run(case.after)
    assert ended.status == 1, ended.output
    for words in case.says:
        assert words in ended.output, ended.output
    if case.state:
        result = app.result(host)
        assert (result["stage"], result["state"]) == (case.stage, case.state), result
    else:
        assert _attempts(app, host) == attempts
    assert app.current(host) == good
    assert ask(host, "/api/health")["revision"] == "good"


def test_a_slow_start_is_not_a_failure(app: App, host: LabHost) -> None:
    app.write(revision="good", loads_s=25, note="slow")
    ended = app.run(host)
    assert ended.status == 0, ended.output
    assert "still loading" in ended.output


def _attempts(app: App, host: LabHost) -> str:
    return host.run(f"ls {app.home('releases')} | wc -l").stdout
