"""Health checks: asked often while a container starts, seldom afterwards.

Docker's default interval of 30 s would make each release up to 30 s longer than needed. Some images
have an interval of an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from gpuhost.runner.docker.images import MILLISECOND, ImageCheck
from gpuhost.runner.docker.resolved_model import Model, running

START_INTERVAL = "2s"
# The engine with which start_interval came.
LEAST_ENGINE = 25


def of_files(model: Model, engine: int) -> Model:
    """Checks of the files that have a start period.

    + engine: the major version of Docker
    """
    changed = deepcopy(model)
    for section in running(changed).values() if engine >= LEAST_ENGINE else ():
        check = section.get("healthcheck") or {}
        if check.get("start_period") and not check.get("disable"):
            check.setdefault("start_interval", START_INTERVAL)
    return changed


def of_images(model: Model, checks: Mapping[str, ImageCheck], engine: int, start_s: int) -> Model:
    """Checks of the images, for services that have none of their own.

    + checks: by service
    + start_s: how long the app may take to start
    """
    changed = deepcopy(model)
    for name, section in running(changed).items() if engine >= LEAST_ENGINE else ():
        check = checks.get(name)
        if check and not section.get("healthcheck"):
            section["healthcheck"] = _written(check, start_s)
    return changed


def _written(check: ImageCheck, start_s: int) -> dict[str, Any]:
    times = {
        "interval": check.interval,
        "timeout": check.timeout,
        "start_period": check.start_period or start_s * 1000 * MILLISECOND,
        "start_interval": check.start_interval,
    }
    return {
        # Compose expands a single $.
        "test": [word.replace("$", "$$") for word in check.test],
        **{key: f"{time // MILLISECOND}ms" for key, time in times.items() if time},
        **({} if check.start_interval else {"start_interval": START_INTERVAL}),
        **({"retries": check.retries} if check.retries else {}),
    }
