"""What every test can use.

pyinfra-testing imports pyinfra's command, which makes threads and locks gevent's: under a running
pytest-xdist worker that is its end. Nothing that runs in the tests' own process needs it: what
connects to a host is a process of its own.
"""

from gevent import monkey
from hypothesis import HealthCheck, settings


def _leave_threads_alone(*_: object, **__: object) -> None:
    pass


monkey.patch_all = _leave_threads_alone

# A busy machine is no fault of what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

pytest_plugins = ["tests.lab.fixtures"]
