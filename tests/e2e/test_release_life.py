"""More about apps: several hosts, restored data, removal, and a deployment made by hand."""

from __future__ import annotations

import re

import pytest

from tests.e2e.app_host import ready_for_apps
from tests.e2e.releasing import App, ask
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost

pytestmark = [pytest.mark.lab, pytest.mark.matrix]
PORT = 3010
BY_HAND = """
services:
  app:
    image: stand-in/python
    command: [python3, -m, http.server, "3010"]
    ports: ["3010:3010"]
    volumes: ["./data:/data"]
"""


@pytest.fixture(scope="module")
def two(hosts: Hosts) -> tuple[LabHost, LabHost]:
    return (
        ready_for_apps(hosts, "app-life-1", card=None),
        ready_for_apps(hosts, "app-life-2", card=None),
    )


@pytest.fixture(scope="module")
def app(two: tuple[LabHost, LabHost], tmp_path_factory: pytest.TempPathFactory) -> App:
    made = App("two-second", tmp_path_factory.mktemp("project"), {})
    made.write(revision="good", loads_s=0)
    ended = made.run(*two)
    assert ended.status == 0, ended.output
    return made


def revisions(*hosts: LabHost) -> list[str]:
    return [ask(host, "/api/health", port=PORT)["revision"] for host in hosts]


def test_a_failed_host_stops_the_rollout_before_the_next_host(
    app: App, two: tuple[LabHost, LabHost]
) -> None:
    assert revisions(*two) == ["good", "good"]
    before = two[1].run(f"ls {app.home('releases')}").stdout
    app.write(revision="bad", broken="exit")
    ended = app.run(*two)
    assert ended.status == 1
    assert re.search(rf"{two[1].name}\].*not attempted", ended.output), ended.output
    assert revisions(*two) == ["good", "good"]
    assert two[1].run(f"ls {app.home('releases')}").stdout == before
    app.write(revision="better", loads_s=0)
    assert app.run(*two).status == 0
    assert revisions(*two) == ["better", "better"]


def test_data_is_restored_from_a_backup(app: App, two: tuple[LabHost, LabHost]) -> None:
    host = two[0]
    ask(host, "/rows", post="before", port=PORT)
    app.write(revision="restore", loads_s=0)
    assert app.run(host).status == 0
    ask(host, "/rows", post="after", port=PORT)
    assert ask(host, "/rows", port=PORT)[-2:] == ["before", "after"]
    listed = app.run(host, deploy="restore.py")
    names = re.findall(r"\d{8}-\d{6}-release", listed.output)
    assert listed.status == 0, listed.output
    assert names
    ended = app.run(host, deploy="restore.py", backup=max(names))
    assert ended.status == 0, ended.output
    assert ask(host, "/rows", port=PORT)[-1] == "before"
    assert ask(host, "/api/health", port=PORT)["revision"] == "restore"


def test_a_deployment_made_by_hand_is_taken_over_only_with_adopt(
    app: App, two: tuple[LabHost, LabHost]
) -> None:
    host = two[1]
    removed = app.run(host, deploy="remove.py", remove="app")
    assert removed.status == 0, removed.output
    assert (
        host.run("docker ps -aq --filter label=com.docker.compose.project=two-second").stdout == ""
    )
    assert host.run(f"test -e {app.home('shared/data/app.db')}", check=False).status == 0
    host.run("mkdir -p /srv/two-second/data")
    host.put("/srv/two-second/compose.yaml", BY_HAND.encode())
    host.run("docker compose --project-directory /srv/two-second up -d")
    refused = app.run(host)
    assert refused.status == 1
    assert "app.project" in refused.output
    assert "adopt" in refused.output
    assert "two-second-app-1" in refused.output
    assert host.run("docker ps -q --filter name=two-second-app-1").stdout
    adopted = app.run(host, adopt=True)
    assert adopted.status == 0, adopted.output
    assert revisions(host) == ["restore"]
