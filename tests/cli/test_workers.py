"""Worker processes: each host is handed out once, and none can block or end the run of others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gevent  # type: ignore[import-untyped]
import pytest

from gpuhost.fleet import worker, workers
from gpuhost.fleet.host_pool import HostError, HostResults
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.workers import read_hosts

NAMES = [f"gpu{number}" for number in range(12)]
Work = Callable[[str, Callable[[], None]], Any]


def fleet(at_once: int) -> Fleet:
    hosts = tuple(SimpleNamespace(name=name) for name in NAMES)
    state = SimpleNamespace(config=SimpleNamespace(PARALLEL=at_once))
    return Fleet(cast(Any, hosts), {}, cast(Any, state))


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_cores", lambda: 3)
    monkeypatch.setattr(worker, "JUDGING_CPU_SECONDS", 2)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, cores: None) -> Callable[..., HostResults[Any]]:
    def run(work: Work, at_once: int = 6, **more: Any) -> HostResults[Any]:
        def instead(_: Any, host: Any, seconds: float, evaluate: Any, begin: Any) -> Any:
            return work(host.name, begin)

        monkeypatch.setattr(workers, "with_host", instead)
        done = more.pop("on_done", lambda _: None)
        seconds = more.pop("seconds", 30)
        return read_hosts(fleet(at_once), seconds, cast(Any, None), done, **more)

    return run


def test_results_are_in_the_order_of_the_inventory(read: Callable[..., HostResults[Any]]) -> None:
    def work(name: str, begin: Callable[[], None]) -> tuple[str, int]:
        gevent.sleep(0.2 if name == "gpu0" else 0)
        begin()
        return name, os.getpid()

    done: list[str] = []
    results = read(work, on_done=lambda name: name and done.append(name))
    assert list(results.by_host) == NAMES
    assert [name for name, _ in results.by_host.values()] == NAMES
    assert sorted(done) == sorted(NAMES)
    assert done[-1] == "gpu0"
    processes = {process for _, process in results.by_host.values()}
    assert len(processes) == 3
    assert os.getpid() not in processes
    assert not results.interrupted


def test_a_slow_host_does_not_keep_others_waiting(read: Callable[..., HostResults[Any]]) -> None:
    def work(name: str, begin: Callable[[], None]) -> str:
        gevent.sleep(600 if name in ("gpu0", "gpu1") else 0)
        return name

    results = read(work, deadline=3)
    late = [name for name, one in results.by_host.items() if isinstance(one, HostError)]
    assert late == ["gpu0", "gpu1"]
    assert results.by_host["gpu0"].reason == "the run's limit of 3 s was reached before it was done"


# What a reply can do to the process that evaluates it, and what is said about it.
FATAL = {
    "busy": "checking: its reply kept a process busy for more than 2 s",
    "waiting": "checking: it kept a process waiting for more than 2 s",
    "killed": "checking: its process was killed: the memory of this machine may be used up",
    "aborted": f"checking: its process ended with signal {int(signal.SIGABRT)}",
}


def fatal(what: str) -> None:
    if what == "busy":
        while True:
            pass
    if what == "waiting":
        time.sleep(600)
    os.kill(os.getpid(), signal.SIGKILL if what == "killed" else signal.SIGABRT)


def errors(results: HostResults[Any]) -> dict[str, HostError]:
    return {name: one for name, one in results.by_host.items() if isinstance(one, HostError)}


@pytest.mark.parametrize("what", FATAL)
def test_a_reply_that_ends_a_process_costs_one_host(
    read: Callable[..., HostResults[Any]], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def work(name: str, begin: Callable[[], None]) -> str:
        gevent.sleep(0.3)
        begin()
        if name in ("gpu1", "gpu8"):
            fatal(what)
        return name

    if what == "waiting":
        monkeypatch.setattr(worker, "JUDGING_SECONDS", 2)
    bad = errors(read(work))
    assert set(bad) == {"gpu1", "gpu8"}
    assert {one.reason for one in bad.values()} == {FATAL[what]}
    assert {one.status for one in bad.values()} == {HostStatus.ERROR}


def test_a_process_that_ends_without_a_cause_is_not_replaced_for_ever(
    read: Callable[..., HostResults[Any]],
) -> None:
    def work(name: str, begin: Callable[[], None]) -> str:
        if name == "gpu3":
            gevent.sleep(0.1)
            fatal("killed")
        return name

    results = read(work)
    assert [name for name, one in results.by_host.items() if isinstance(one, HostError)] == ["gpu3"]
    assert results.by_host["gpu3"].reason.startswith("reading: its process was killed")


def test_hosts_of_a_process_that_ends_without_a_cause_are_read_alone(
    read: Callable[..., HostResults[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are in one process, and none has replied when it ends."""

    def work(name: str, begin: Callable[[], None]) -> str:
        gevent.sleep(0.3)
        if name in ("gpu3", "gpu7"):
            fatal("killed")
        gevent.sleep(0.3)
        return name

    monkeypatch.setattr(workers, "_cores", lambda: 1)
    assert set(errors(read(work, at_once=12))) == {"gpu3", "gpu7"}


def test_a_busy_machine_is_no_error(
    read: Callable[..., HostResults[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit counts the CPU's time, and other programs have it."""

    def work(name: str, begin: Callable[[], None]) -> str:
        begin()
        time.sleep(2 if name == "gpu1" else 0)
        return name

    monkeypatch.setattr(worker, "JUDGING_CPU_SECONDS", 1)
    assert errors(read(work)) == {}


class NoMemory:
    def __reduce__(self) -> str:
        raise MemoryError


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def test_a_result_that_cannot_be_sent_is_an_error(read: Callable[..., HostResults[Any]]) -> None:
    def work(name: str, begin: Callable[[], None]) -> Any:
        if name == "gpu2":
            raise SystemExit
        return {"gpu0": nested(100_000), "gpu1": NoMemory()}.get(name, name)

    bad = errors(read(work))
    assert {name: one.reason.split(":")[1].strip() for name, one in bad.items()} == {
        "gpu0": "RecursionError", "gpu1": "MemoryError", "gpu2": "SystemExit",
    }  # fmt: skip


def test_the_command_does_not_wait_for_a_host_for_ever(
    read: Callable[..., HostResults[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(name: str, begin: Callable[[], None]) -> str:
        gevent.sleep(600 if name == "gpu4" else 0)
        return name

    monkeypatch.setattr(worker, "JUDGING_SECONDS", 10)
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0)
    bad = errors(read(work, seconds=1, deadline=60))
    assert {name: one.reason for name, one in bad.items()} == {"gpu4": "no result within 11 s"}


def test_memory_is_limited(read: Callable[..., HostResults[Any]]) -> None:
    def work(name: str, begin: Callable[[], None]) -> str:
        begin()
        try:
            return str(len(bytearray(2 << 30)))
        except MemoryError:
            return "no memory"

    assert set(read(work).by_host.values()) == {"no memory"}


def test_a_result_that_is_too_large_is_an_error(read: Callable[..., HostResults[Any]]) -> None:
    def work(name: str, begin: Callable[[], None]) -> list[str]:
        return [f"{number:04000}" for number in range(3000 if name == "gpu5" else 1)]

    results = read(work)
    assert results.by_host["gpu5"].reason == "its result is too large: 11 MB, at most 8 MB"
    assert sum(isinstance(one, HostError) for one in results.by_host.values()) == 1


def test_texts_leave_a_process_safe(read: Callable[..., HostResults[Any]]) -> None:
    results = read(lambda name, begin: (f"\x1b[2J{name}\u202e", float("nan"), "x" * 10**6, 10**30))
    text, number, long, large = results.by_host["gpu0"]
    assert (text, number, large) == ("gpu0?", 0.0, 2**63 - 1)
    assert len(long) < 5000


def test_other_work_is_done_while_hosts_answer(
    read: Callable[..., HostResults[Any]], tmp_path: Path
) -> None:
    def steps() -> Iterator[None]:
        for number in range(3):
            (tmp_path / f"{os.getpid()} {number}").touch()
            yield

    def work(name: str, begin: Callable[[], None]) -> int:
        with gevent.Timeout(10, False):
            while done() < 3:
                gevent.sleep(0.01)
        return done()

    def done() -> int:
        return len(list(tmp_path.glob(f"{os.getpid()} *")))

    assert set(read(work, meanwhile=steps).by_host.values()) == {3}


def test_processes_end_with_the_run(read: Callable[..., HostResults[Any]]) -> None:
    results = read(lambda name, begin: os.getpid())
    for process in set(results.by_host.values()):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


ENDED = """
import json, os
import pyinfra_cli
import gevent
from types import SimpleNamespace as Of
from gpuhost.fleet import workers
from gpuhost.fleet.inventory import Fleet

def open_handles():
    return [os.path.exists(f"/proc/self/fd/{handle}") for handle in range(64)]

def instead(fleet, host, seconds, evaluate, begin):
    begin()
    if host.name == "gpu1":
        os.kill(os.getpid(), 9)
    return host.name

workers.with_host = instead
hosts = tuple(Of(name=f"gpu{number}") for number in range(4))
gevent.get_hub()
before = open_handles()
done = workers.read_hosts(
    Fleet(hosts, {}, Of(config=Of(PARALLEL=4))), 30, None, lambda _: None, deadline=20
)
print(json.dumps([getattr(one, "reason", one) for one in done.by_host.values()]))
print(open_handles() == before)
"""


def test_the_end_of_a_process_is_seen_in_the_command() -> None:
    """There gevent replaces functions of `os` and has a hub; in the other tests it does not."""
    run = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, text=True, timeout=60)
    results, closed = run.stdout.splitlines()
    assert closed == "True"
    assert json.loads(results) == ["gpu0", FATAL["killed"], "gpu2", "gpu3"]


KILLED = """
import os
import pyinfra_cli
import gevent
from types import SimpleNamespace as Of
from gpuhost.fleet import worker, workers
from gpuhost.fleet.inventory import Fleet
worker.JUDGING_CPU_SECONDS = 2

def instead(fleet, host, seconds, evaluate, begin):
    os.write(2, f"{os.getpid()}\\n".encode())
    if host.name == "busy":
        begin()
        while True:
            pass
    gevent.sleep(600)

workers.with_host, workers.HOSTS_PER_WORKER, workers._cores = instead, 1, lambda: 2
hosts = tuple(Of(name=name) for name in ("busy", "waits"))
state = Of(config=Of(PARALLEL=2))
workers.read_hosts(Fleet(hosts, {}, state), 30, None, lambda _: None)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_is_left_behind(how: signal.Signals) -> None:
    """Also if the command is killed while one process is busy."""
    command = subprocess.Popen(
        [sys.executable, "-c", KILLED], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert command.stderr
    processes = [int(command.stderr.readline()) for _ in range(2)]
    command.send_signal(how)
    command.wait(20)
    for process in processes:
        while Path(f"/proc/{process}").exists() and not _is_zombie(process):
            time.sleep(0.1)


def _is_zombie(process: int) -> bool:
    try:
        return ") Z" in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True
