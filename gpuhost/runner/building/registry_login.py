"""Logs in to private registries, in a Docker client configuration of the app."""

from __future__ import annotations

import json
from pathlib import Path

from gpuhost.runner.failures.causes import cause
from gpuhost.runner.lib import proxy
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear, write_json
from gpuhost.runner.state.release import Release

LOGIN_S = 60
# A person may have installed compose or buildx here; another configuration would hide them.
OWN_PLUGINS = Path("/root/.docker/cli-plugins")


def log_in(release: Release) -> None:
    """Log in to every registry of the plan; without registries, delete earlier logins.

    Raises Failure with the registry's message.
    """
    directory = release.app.docker
    if not release.plan.registries:
        clear(directory)
        return
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    _write_configuration(directory)
    for registry in release.plan.registries:
        if registry.password not in release.secrets:
            raise Failure(f"registries.{registry.host}: the secret {registry.password} is missing")
        words = ("docker", "login", "--username", registry.user, "--password-stdin", registry.host)
        outcome = try_run(
            release.log,
            *words,
            seconds=LOGIN_S,
            env={"DOCKER_CONFIG": str(directory)},
            stdin=release.secrets[registry.password],
        )
        if not outcome.ok:
            said, fix = cause(outcome.tail, outcome.status)
            raise Failure(f"docker login {registry.host}: {said}", output=outcome.tail, fix=fix)


def _write_configuration(directory: Path) -> None:
    """Write it without logins, with the proxy of root's configuration for builds."""
    settings: dict[str, object] = {}
    proxies = proxy.client().get("proxies")
    if isinstance(proxies, dict):
        settings["proxies"] = proxies
    if OWN_PLUGINS.is_dir():
        settings["cliPluginsExtraDirs"] = [str(OWN_PLUGINS)]
    write_json(directory / "config.json", json.loads(json.dumps(settings)), mode=0o600)
