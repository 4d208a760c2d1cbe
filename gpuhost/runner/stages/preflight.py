"""What must hold at the moment a release begins, whatever was read before."""

from __future__ import annotations

from gpuhost.runner.data import secrets
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import nginx, nginx_trial
from gpuhost.runner.state.release import Release


def check(release: Release) -> None:
    """The engine answers, no secret is missing, and nginx would take the site."""
    if release.plan.variant:
        release.log.write(release.plan.variant)
    outcome = try_run(release.log, "docker", "version", seconds=30, quiet=True)
    if not outcome.ok:
        raise Failure(
            "Docker does not answer",
            output=outcome.tail,
            fix="systemctl status docker; deploys/gpu_host.py repairs the engine",
        )
    secrets.require(release)
    if release.plan.nginx:
        nginx.check(release)
        nginx_trial.judge(release)
