"""A worker process: connects to hosts, reads them and evaluates what they reply, many at a time.

It is forked from the command before anything is connected. Its memory is limited, and it ends by
itself, by the kernel's timers, if one evaluation blocks it: the command then knows which host did
that.
"""

from __future__ import annotations

import os
import resource
import signal
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import gevent  # type: ignore[import-untyped]
from gevent.os import make_nonblocking, nb_read  # type: ignore[import-untyped]

from gpuhost.domain.sizes import GB
from gpuhost.fleet import channel
from gpuhost.fleet.host_pool import HostError
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.reading import one_line

# CPU seconds in which a worker may do nothing but evaluate one host: a hundred times what it takes.
JUDGING_CPU_SECONDS = 10
# Elapsed seconds for the same: more, because other programs use the CPU too.
JUDGING_SECONDS = 60
# Seconds for the first connections before other work, which blocks all of them.
HEAD_START = 0.05
# In addition to what a worker has when it starts.
MEMORY = 1 * GB
NUMBER_BYTES = 4

# Evaluates the host with this number; calls the function just before, to say that it begins.
Task = Callable[[int, Callable[[], None]], Any]


def work(
    orders: int, replies: int, task: Task, meanwhile: Callable[[], Iterable[None]]
) -> NoReturn:
    """Do what arrives on `orders`, numbers of hosts, until the command closes it or ends.

    + replies: a message (NUMBER, None) when the evaluation of a host begins; then its result,
      (NUMBER, (RESULT,))
    + meanwhile: other work, done while hosts answer
    """
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        _set_timers()
        gevent.reinit()
        gevent.get_hub().exception_stream = None
        _limit_memory()
        gevent.spawn(_stay_alive)
        make_nonblocking(orders)
        other_work = None
        while number := nb_read(orders, NUMBER_BYTES):
            gevent.spawn(_one, int.from_bytes(number, "big"), task, replies)
            other_work = other_work or gevent.spawn_later(HEAD_START, _step_by_step, meanwhile)
    except BaseException:
        # A bug: the command replaces this process, or reports its hosts.
        traceback.print_exc()
        os._exit(1)
    # Not sys.exit: what the command has buffered must not be written a second time.
    os._exit(0)


def _one(number: int, task: Task, replies: int) -> None:
    def begin() -> None:
        _set_timers()
        channel.write(replies, channel.pack((number, None)))

    try:
        reply = channel.pack((number, (task(number, begin),)))
    except BaseException as error:
        # Or the command would wait for this host.
        reason = one_line(f"no result: {type(error).__name__}: {error}")
        reply = channel.pack((number, (HostError(HostStatus.ERROR, reason),)))
    # Without a reader the command has ended.
    with suppress(OSError):
        channel.write(replies, reply)


def _set_timers() -> None:
    signal.setitimer(signal.ITIMER_PROF, JUDGING_CPU_SECONDS)
    signal.alarm(JUDGING_SECONDS)


def _stay_alive() -> None:
    """Postpone the timers; a worker that is blocked does not get here."""
    while True:
        _set_timers()
        gevent.sleep(1)


def _step_by_step(work: Callable[[], Iterable[None]]) -> None:
    """When there is nothing else to do."""
    for _ in work():
        gevent.idle()


def _limit_memory() -> None:
    """Raises nothing: a system without /proc or the limit works without it."""
    with suppress(OSError, ValueError):
        # Not all of the address space: threads reserve much of it, and use little.
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[5])
        limit = pages * resource.getpagesize() + MEMORY
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
