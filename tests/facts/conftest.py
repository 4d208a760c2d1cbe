"""pyinfra-testing imports pyinfra's command, which makes threads and locks gevent's: under a
running pytest-xdist worker that is its end. Nothing that runs in this process connects to anything.
"""

from gevent import monkey


def _leave_threads_alone(*_: object, **__: object) -> None:
    pass


monkey.patch_all = _leave_threads_alone
