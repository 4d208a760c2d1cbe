"""The result of a release."""

from __future__ import annotations

from gpuhost.runner.contract import VERIFIED, Result
from gpuhost.runner.state.release import Release


def result_of(release: Release, state: str = VERIFIED) -> Result:
    plan = release.plan
    return Result(plan.id, plan.app, "release", state, plan.by, "r", plan.inputs, 1.0, 2.0)
