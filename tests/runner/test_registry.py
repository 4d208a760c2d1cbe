"""Logins to registries: before the first pull, and for this release only."""

from __future__ import annotations

import json

import pytest

from gpuhost.runner.building import registry_login
from gpuhost.runner.lib import proxy
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Registry
from gpuhost.runner.stages.build import build
from tests.runner.build_fixtures import a_release, isolated_host, log_text
from tests.runner.fake_tools import Docker, docker
from tests.runner.host_fixtures import OLD, App, app

__all__ = ["app", "docker", "isolated_host"]

PASSWORD = "p4ss-w0rd-of-the-registry"


def test_the_login_is_before_the_first_pull(app: App, docker: Docker) -> None:
    proxies = {"default": {"httpProxy": "http://10.0.0.1:3128"}}
    proxy.CLIENT.write_text(json.dumps({"proxies": proxies, "auths": {"other": {"auth": "eA=="}}}))
    registry_login.OWN_PLUGINS.mkdir()
    docker.services, docker.registry = (
        {"web": {"image": "r.example/web:1"}},
        {"r.example/web:1": {}},
    )
    release = a_release(
        app, docker, given={"PW": PASSWORD}, registries=(Registry("r.example", "ada", "PW"),)
    )
    build(release)
    login = next(call for call in docker.calls if call["words"][0] == "login")
    assert login["words"] == ["login", "--username", "ada", "--password-stdin", "r.example"]
    assert login["stdin"] == PASSWORD
    pulled = next(call for call in docker.calls if "pull" in call["words"])
    assert docker.calls.index(login) < docker.calls.index(pulled)
    assert {login["env"]["DOCKER_CONFIG"], pulled["env"]["DOCKER_CONFIG"]} == {
        str(app.paths.docker)
    }
    config = app.paths.docker / "config.json"
    assert json.loads(config.read_text()) == {
        "proxies": proxies,
        "cliPluginsExtraDirs": [str(registry_login.OWN_PLUGINS)],
    }
    assert config.stat().st_mode & 0o777 == 0o600
    assert app.paths.docker.stat().st_mode & 0o777 == 0o700
    assert PASSWORD not in log_text(release)
    # A release without registries removes the login.
    build(a_release(app, docker, OLD))
    assert not app.paths.docker.exists()


def test_a_refused_login(app: App, docker: Docker) -> None:
    docker.fails = {
        "login r.example": {
            "rc": 1,
            "out": "Error response from daemon: Get x: unauthorized: incorrect username or "
            f"password {PASSWORD}",
        }
    }
    registries = (Registry("r.example", "ada", "PW"),)
    release = a_release(app, docker, given={"PW": PASSWORD}, registries=registries)
    with pytest.raises(Failure, match=r"docker login r\.example: .* refuses the login") as failure:
        build(release)
    assert PASSWORD not in str((failure.value.output, failure.value.said, log_text(release)))
    with pytest.raises(Failure, match="the secret PW was not given"):
        build(a_release(app, docker, OLD, registries=registries))
