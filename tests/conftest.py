"""What every test can use.

pyinfra-testing imports pyinfra's command, which makes threads and locks gevent's: under a running
pytest-xdist worker that is its end. Nothing that runs in the tests' own process needs it: what
connects to a host is a process of its own.
"""

from gevent import monkey


def _leave_threads_alone(*_: object, **__: object) -> None:
    pass


monkey.patch_all = _leave_threads_alone

pytest_plugins = ["tests.lab.fixtures"]
