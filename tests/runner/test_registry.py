"""Logins to registries: before anything is pulled, and of this release alone."""

from __future__ import annotations

import json

import pytest

from gpuhost.runner.building import registry_login
from gpuhost.runner.lib import proxy
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Registry
from gpuhost.runner.stages.build import build
from tests.runner.at_hand import OLD, App, app
from tests.runner.builds import a_release, log_of, of_the_host
from tests.runner.stand_in import Docker, docker

__all__ = ["app", "docker", "of_the_host"]

PASSWORD = "p4ss-w0rd-of-the-registry"


def test_registries_are_logged_in_to_before_anything_is_pulled(app: App, docker: Docker) -> None:
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
    assert PASSWORD not in log_of(release)
    # A release without registries leaves no login behind.
    build(a_release(app, docker, OLD))
    assert not app.paths.docker.exists()


def test_a_login_that_is_refused(app: App, docker: Docker) -> None:
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
    assert PASSWORD not in str((failure.value.output, failure.value.said, log_of(release)))
    with pytest.raises(Failure, match="the secret PW is missing"):
        build(a_release(app, docker, OLD, registries=registries))
