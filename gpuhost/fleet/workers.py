"""All hosts in parallel, in a process for each core: no host waits for another, or fails because of
another. A host whose reply blocks or ends a process is an error itself; the other hosts of that
process are read again. If it is not known which host did it, each of them is read again alone.

This process stays out of gevent's loop until the end: a fork of it is a clean start.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, NoReturn, TypeVar

from gevent.monkey import get_original  # type: ignore[import-untyped]

from gpuhost.fleet import channel, worker
from gpuhost.fleet.host_pool import Evaluate, HostError, HostResults, OnDone, with_host
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.interruption import interruption_reaches_this_greenlet
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.safe_result import safe_result

T = TypeVar("T")
# A process for fewer hosts takes longer to start than it saves.
HOSTS_PER_WORKER = 4
# Processes for hosts that are read alone: they wait more than they compute.
ALONE = 8
# Of the messages between the processes, in addition to all other limits of a host.
GRACE_SECONDS = 30
TICK_SECONDS = 1.0

# Those of gevent need its loop, which does not run in this process: its `close` closes later.
_fork, _wait, _close_handle = get_original("os", ["fork", "waitpid", "close"])
_poll = get_original("select", "poll")


def read_hosts(
    fleet: Fleet,
    seconds: float,
    evaluate: Evaluate[T],
    on_done: OnDone,
    *,
    deadline: float | None = None,
    meanwhile: Callable[[], Iterable[None]] = tuple,
) -> HostResults[T]:
    """Read every host, and evaluate what was read. Ctrl-C ends it with the results so far.

    + seconds: for one host, from connecting to the end of `evaluate`
    + evaluate: called in another process; may raise NotRead
    + on_done: called with the name of each host as soon as it is done; with None at the start, and
      every second
    + deadline: seconds for all hosts together; None: each has only its own limit
    + meanwhile: other work, done by each process while the hosts answer
    """

    def task(number: int, begin: Callable[[], None]) -> T | HostError:
        result = with_host(fleet, fleet.hosts[number], seconds, evaluate, begin)
        return safe_result(result)

    names = [host.name for host in fleet.hosts]
    run: _Run[T] = _Run(names, task, meanwhile, fleet.state.config.PARALLEL, on_done, seconds)
    interrupted = False
    try:
        with interruption_reaches_this_greenlet():
            run.until_done(None if deadline is None else time.monotonic() + deadline)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        run.end()
    late = deadline is not None and not interrupted
    why = f"the run's limit of {deadline:g} s was reached" if late else "interrupted"
    unfinished = HostError(HostStatus.ERROR, f"{why} before it was done")
    results = ((name, run.results.get(number, unfinished)) for number, name in enumerate(names))
    return HostResults(dict(results), interrupted)


@dataclass
class _Worker:
    """A process, the hosts that it has been given, each with the end of its time, and the one that
    it evaluates now.
    """

    process: int
    orders: int
    replies: channel.Receiver
    hosts: dict[int, float] = field(default_factory=dict)
    evaluates: int | None = None


class _Run(Generic[T]):
    def __init__(
        self,
        names: list[str],
        task: worker.Task,
        meanwhile: Callable[[], Iterable[None]],
        parallel: int,
        on_done: OnDone,
        seconds: float,
    ) -> None:
        # A process has its own limits, and keeps them; this one is for what it does not foresee.
        self._seconds = seconds + worker.JUDGING_SECONDS + GRACE_SECONDS
        self._names, self._task, self._meanwhile = names, task, meanwhile
        self._on_done = on_done
        self._waiting = deque(range(len(names)))
        # Hosts of processes that ended without a known cause; those of them that wait.
        self._suspects: set[int] = set()
        self._suspects_waiting: deque[int] = deque()
        self._count = min(_cores(), -(-len(names) // HOSTS_PER_WORKER))
        self._slots = -(-parallel // self._count) if self._count else 0
        self._workers: dict[int, _Worker] = {}
        self.results: dict[int, T | HostError] = {}

    def until_done(self, end: float | None) -> None:
        """+ end: of the clock; None: no limit"""
        self._hand_out()
        self._on_done(None)
        ticked = time.monotonic()
        while len(self.results) < len(self._names):
            self._hand_out()
            now = time.monotonic()
            if end is not None and now >= end:
                return
            for handle in self._ready(
                TICK_SECONDS if end is None else min(TICK_SECONDS, end - now)
            ):
                self._receive(self._workers[handle])
            if time.monotonic() - ticked >= TICK_SECONDS:
                ticked = time.monotonic()
                self._give_up(ticked)
                self._on_done(None)

    def end(self) -> None:
        """End every process. Those that are done have nothing open."""
        for one in self._workers.values():
            with suppress(ProcessLookupError):
                os.kill(one.process, signal.SIGKILL)
            _close(one)

    def _hand_out(self) -> None:
        """Each process gets as many hosts as any other, one after another."""
        while self._lacks_worker():
            self._start()
        free = True
        while free:
            free = False
            for one in self._workers.values():
                if waiting := self._waiting_for(one):
                    free = True
                    _order(one, waiting.popleft(), time.monotonic() + self._seconds)

    def _lacks_worker(self) -> bool:
        if self._waiting and len(self._workers) < self._count:
            return True
        idle = sum(not one.hosts for one in self._workers.values())
        return len(self._suspects_waiting) > idle and len(self._workers) < max(self._count, ALONE)

    def _waiting_for(self, one: _Worker) -> deque[int] | None:
        """The hosts of which this process can get one more. A suspect is read alone: if it ends a
        process again, that is known.
        """
        if not one.hosts and self._suspects_waiting:
            return self._suspects_waiting
        full = len(one.hosts) >= self._slots or not self._suspects.isdisjoint(one.hosts)
        return None if full else self._waiting

    def _start(self) -> None:
        (to_read, orders), (replies, to_write) = os.pipe(), os.pipe()
        others = [end for one in self._workers.values() for end in (one.orders, one.replies.handle)]
        # A Ctrl-C must reach either this process or none.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        process = _fork()
        if process == 0:
            self._become_worker(to_read, to_write, [*others, orders, replies])
        self._workers[replies] = _Worker(process, orders, channel.Receiver(replies))
        _close_handle(to_read)
        _close_handle(to_write)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def _become_worker(self, orders: int, replies: int, others: list[int]) -> NoReturn:
        # Or the end of the command would not be seen.
        for handle in others:
            _close_handle(handle)
        worker.work(orders, replies, self._task, self._meanwhile)

    def _ready(self, seconds: float) -> Iterator[int]:
        poll = _poll()
        for handle in self._workers:
            poll.register(handle, select.POLLIN)
        return (handle for handle, _ in poll.poll(max(0, seconds) * 1000))

    def _receive(self, one: _Worker) -> None:
        is_open = one.replies.read()
        for number, result in one.replies.messages():
            one.evaluates = number if result is None else None
            # Without the first, it is too late.
            if number in one.hosts and result is not None:
                del one.hosts[number]
                self._done(number, result[0])
        if not is_open:
            self._replace(one)

    def _done(self, number: int, result: T | HostError) -> None:
        self.results[number] = result
        self._on_done(self._names[number])

    def _give_up(self, now: float) -> None:
        """Hosts whose result is lost; the command does not wait for them."""
        for one in self._workers.values():
            for number in [number for number, end in one.hosts.items() if now >= end]:
                del one.hosts[number]
                reason = f"no result within {self._seconds:g} s"
                self._done(number, HostError(HostStatus.ERROR, reason))

    def _replace(self, one: _Worker) -> None:
        """A process has ended: find out because of which host, and hand out the others again."""
        del self._workers[one.replies.handle]
        why = _why(_close(one))
        culprit = one.evaluates
        for number in sorted(one.hosts, reverse=True):
            if number == culprit or (culprit is None and number in self._suspects):
                phase = "checking" if number == culprit else "reading"
                self._done(number, HostError(HostStatus.ERROR, f"{phase}: {why}"))
            elif culprit is None:
                self._suspects.add(number)
                self._suspects_waiting.appendleft(number)
            else:
                self._waiting.appendleft(number)


def _order(one: _Worker, number: int, end: float) -> None:
    one.hosts[number] = end
    # A process that has ended is seen when it is read from.
    with suppress(BrokenPipeError):
        os.write(one.orders, number.to_bytes(worker.NUMBER_BYTES, "big"))


def _close(one: _Worker) -> int:
    """Wait for a process that has ended or was killed. Returns its status, as `waitpid` does."""
    _close_handle(one.orders)
    _close_handle(one.replies.handle)
    try:
        return int(_wait(one.process, 0)[1])
    except ChildProcessError:
        return 0


def _why(status: int) -> str:
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if ended_by == signal.SIGPROF:
        return f"its reply kept a process busy for more than {worker.JUDGING_CPU_SECONDS} s"
    if ended_by == signal.SIGALRM:
        return f"it kept a process waiting for more than {worker.JUDGING_SECONDS} s"
    if ended_by == signal.SIGKILL:
        return "its process was killed: the memory of this machine may be used up"
    return f"its process ended with {f'signal {ended_by}' if ended_by else f'status {status >> 8}'}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
