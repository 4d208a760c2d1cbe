"""The stage `preflight`: conditions that must hold when the release begins."""

from __future__ import annotations

from gpuhost.runner.data import secrets
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import nginx, nginx_trial
from gpuhost.runner.state.release import Release


def check(release: Release) -> None:
    """Check that Docker answers, no secret is missing, and nginx accepts the site."""
    if release.plan.variant:
        release.log.write(release.plan.variant)
    outcome = try_run(release.log, "docker", "version", seconds=30, quiet=True)
    if not outcome.ok:
        raise Failure(
            "Docker does not answer",
            output=outcome.tail,
            fix="run systemctl status docker, then deploys/gpu_host.py, which repairs the engine",
        )
    secrets.require(release)
    if release.plan.nginx:
        nginx.check(release)
        nginx_trial.try_on_host(release)
