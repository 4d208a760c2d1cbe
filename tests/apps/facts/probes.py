"""Health checks are asked soon after the start, on old engines too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpuhost.runner.docker.images import MILLISECOND, ImageCheck
from gpuhost.runner.docker.resolved_model import running
from gpuhost.runner.resolved.health import LEAST_ENGINE, of_images
from tests.apps.facts.released import Released
from tests.apps.facts.table import Facts, HealthCheck

LONGEST_S = 60
SECOND = 1000 * MILLISECOND
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def probes(release: Released, facts: Facts, engine: int = LEAST_ENGINE - 1) -> Iterator[str]:
    """+ engine: the major version of Docker"""
    images = {name: _of_image(check) for name, check in facts.health_checks.items()}
    model = of_images(dict(release.model), images, engine, release.plan.verify.start_s)
    for name, section in running(model).items():
        declared = section.get("healthcheck") or {}
        own = declared.get("start_interval") or declared.get("interval")
        image = facts.health_checks.get(name)
        seconds = _seconds(own) if own else image.interval_s if image else 0
        if seconds > LONGEST_S:
            yield f"{name}: first asked for its health after {seconds:.0f} s"


def _of_image(check: HealthCheck) -> ImageCheck:
    times = (check.interval_s * SECOND, 0, check.start_period_s * SECOND)
    return ImageCheck(("CMD", "true"), *times)


def _seconds(duration: str) -> float:
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", duration)
    return sum(float(number) * UNITS[unit] for number, unit in parts)
