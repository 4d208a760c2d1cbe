"""A project with Compose files of its own, in a directory of its source, released as they are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.app_host import ready_for_apps
from tests.e2e.releasing import App, Ended
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost

pytestmark = pytest.mark.lab
NPMRC = "token=planted-7d1c $x\nsecond line"
DOTENV = "GREETING=planted-hello-9e2f\n"
BLOCK = """\
x-gpuhost:
  source: {directory: ../shop}
  compose: docker/compose.yml
  secrets:
    NPMRC: {file: npmrc, path: ../npmrc}
    DOTENV: {file: app.env, path: ../.env}
  verify: {start_s: 60, steps: [{health: {url: "http://127.0.0.1:3020/index.html"}}]}
"""
# No service has a restart policy. `waits` ends with an error until `init` has ended.
COMPOSE = """\
name: shop
services:
  init:
    image: stand-in/python
    command: [python3, -c, "import time; time.sleep(1); open('/data/made', 'a').write('x')"]
    volumes: ["../data:/data"]
  waits:
    image: stand-in/python
    command: [sh, -c, "test -s /data/made && exec sleep 1000000; sleep 1; exit 1"]
    volumes: ["../data:/data"]
  web:
    build: {context: .., secrets: [npmrc]}
    image: "shop-web:${TAG:?}"
    env_file: ../.env
    ports: ["${PORT}:3020"]
    command: [python3, -m, http.server, "3020", --directory, /site]
    volumes: ["./site:/site", "../data:/data"]
  cache:
    image: stand-in/python
    command: [sleep, "1000000"]
    volumes: ["./cache.conf:/etc/cache.conf"]
secrets:
  npmrc: {file: ../npmrc}
"""
DOCKERFILE = """\
FROM stand-in/python
RUN --mount=type=secret,id=npmrc sha256sum /run/secrets/npmrc > /built-with
STOPSIGNAL SIGKILL
"""


@dataclass(frozen=True)
class Shop:
    app: App
    host: LabHost

    def release(self, page: str) -> Ended:
        (self.app.project / "shop/docker/site/index.html").write_text(page)
        ended = self.app.run(self.host, timeout=200)
        assert ended.status == 0, ended.output
        return ended

    @property
    def page(self) -> str:
        return self.host.run("curl -fsS http://127.0.0.1:3020/index.html").stdout

    def container(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.host.run(f"docker inspect shop-{service}-1").stdout
        )[0]
        return found


@pytest.fixture(scope="module")
def shop(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The first release."""
    project = tmp_path_factory.mktemp("project")
    files = {
        "apps/shop.yaml": BLOCK,
        "apps/npmrc": NPMRC,
        "apps/app.env": DOTENV,
        "shop/Dockerfile": DOCKERFILE,
        "shop/docker/compose.yml": COMPOSE,
        "shop/docker/.env": "PORT=3020\nTAG=1\n",
        "shop/docker/cache.conf": "size 1\n",
        "shop/docker/site/index.html": "",
    }
    for name, text in files.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    shop = Shop(App("shop", project, {}), ready_for_apps(hosts, "app-compose", card=None))
    output = shop.release("first").output
    assert "planted" not in output
    return shop


def test_it_runs_as_its_files_say(shop: Shop) -> None:
    assert shop.page == "first"
    web = shop.container("web")
    assert "GREETING=planted-hello-9e2f" in web["Config"]["Env"]
    assert web["Config"]["Image"].startswith("gpuhost/shop/web:")
    (binding,) = web["HostConfig"]["PortBindings"]["3020/tcp"]
    assert binding == {"HostIp": "127.0.0.1", "HostPort": "3020"}
    mounts = {mount["Destination"]: mount for mount in web["Mounts"]}
    assert mounts["/site"]["Source"].startswith("/opt/gpuhost/shop/files/")
    assert not mounts["/site"]["RW"]
    assert (mounts["/data"]["Source"], mounts["/data"]["RW"]) == (
        "/opt/gpuhost/shop/shared/data",
        True,
    )


def test_a_service_that_ends_is_done_and_a_server_is_kept_running(shop: Shop) -> None:
    containers = {name: shop.container(name) for name in ("init", "waits", "web", "cache")}
    assert {
        name: one["HostConfig"]["RestartPolicy"]["Name"] for name, one in containers.items()
    } == {
        **dict.fromkeys(("init", "waits", "cache"), "on-failure"),
        "web": "unless-stopped",
    }
    assert shop.host.run("docker wait shop-init-1").stdout == "0\n"
    init = shop.container("init")
    assert (init["State"]["Status"], init["RestartCount"]) == ("exited", 0)
    assert all(containers[name]["State"]["Running"] for name in ("web", "cache"))
    log = shop.host.run("cat /opt/gpuhost/shop/current/log").stdout
    assert "cache still runs, without a restart policy" in log


def test_a_build_reads_a_secret_file_and_no_file_of_the_source_has_it(shop: Shop) -> None:
    built = shop.host.run("docker exec shop-web-1 cat /built-with").stdout
    assert built.split()[0] == hashlib.sha256(NPMRC.encode()).hexdigest()
    left = shop.host.run("grep -rl planted /opt/gpuhost/shop/releases/*/source", check=False)
    assert left.stdout == ""
    modes = shop.host.run("cd /opt/gpuhost/shop/shared && stat -c '%a %n' npmrc .env").stdout
    assert modes.splitlines() == ["600 npmrc", "600 .env"]


def test_the_same_again_changes_nothing(shop: Shop) -> None:
    assert shop.app.run(shop.host, timeout=100).changed_nothing


def test_only_the_container_of_a_changed_file_is_replaced(shop: Shop) -> None:
    before = {name: shop.container(name)["Id"] for name in ("web", "cache", "waits")}
    shop.release("second")
    assert shop.page == "second"
    after = {name: shop.container(name)["Id"] for name in before}
    assert after["web"] != before["web"]
    assert (after["cache"], after["waits"]) == (before["cache"], before["waits"])
    back = shop.app.run(shop.host, deploy="rollback.py", timeout=200)
    assert back.status == 0, back.output
    assert shop.page == "first"
