"""What every test can use.

pyinfra-testing imports pyinfra's command, which makes threads and locks gevent's: under a running
pytest-xdist worker that is its end. Nothing that runs in the tests' own process needs it: what
connects to a host is a process of its own.
"""

import pytest
from gevent import monkey
from hypothesis import HealthCheck, settings


def _leave_threads_alone(*_: object, **__: object) -> None:
    pass


monkey.patch_all = _leave_threads_alone

# A busy machine is no fault of what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Files whose hosts take minutes, the longest first: whichever worker is free takes the next one.
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
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    order = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(
        key=lambda item: (
            item.get_closest_marker("lab") is None,
            order.get(item.path.stem, len(order)),
        )
    )


pytest_plugins = ["tests.lab.fixtures"]
