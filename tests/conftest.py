"""Settings for all tests.

pyinfra-testing imports pyinfra's command, which patches threads and locks for gevent. That stops a
running pytest-xdist worker, and no code in the process of the tests needs it: connections to hosts
are made by separate processes.
"""

import os
import random

import pytest
from gevent import monkey
from hypothesis import HealthCheck, settings


def _leave_threads_alone(*_: object, **__: object) -> None:
    pass


monkey.patch_all = _leave_threads_alone

# No deadlines: a busy machine is slow.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Of random tests; the workers of xdist inherit it.
SEED = "GPUHOST_SEED"
os.environ.setdefault(SEED, str(random.SystemRandom().randrange(1 << 30)))


def pytest_report_header() -> str:
    """Before the tests: it is not lost if they are killed."""
    return f"{SEED}={os.environ[SEED]}"


# Files whose hosts take minutes, the longest first: a free worker gets the next one.
LONG = (
    "killed_controller",
    "nvidia",
    "firewall",
    "toolkit",
    "apt",
    "system",
    "ready_host",
    "docker",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, so that none of them is the last one of a worker."""
    order = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(
        key=lambda item: (
            item.get_closest_marker("lab") is None,
            order.get(item.path.stem, len(order)),
        )
    )


pytest_plugins = ["tests.lab.fixtures"]
