"""A run reads each host once, until something changes the host or a minute is over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from gpuhost.operations import reading
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead
from tests.recorded import raw


@dataclass
class Run:
    """A run on one host, and the requests of its readings."""

    state: Any
    host: Any
    clock: float = 1000.0
    scripts: list[str] = field(default_factory=list)

    def read(self, *, despite: tuple[str, ...] = (), **settings: Any) -> int:
        """The number of readings after one more operation has asked for the host's state."""
        reading.read(Settings(**settings), despite=despite)
        return len(self.scripts)

    def change(self, key: str) -> None:
        """An operation of ours has changed the host and ended."""
        reading.forget(key)
        self.execute("a command of it")

    def execute(self, *commands: str) -> None:
        """An operation that is not gpuhost's has ended."""
        done = SimpleNamespace(executed=bool(commands))
        self.state.ops[self.host][str(len(self.state.ops[self.host]))] = SimpleNamespace(
            operation_meta=done
        )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    state = FakeState()
    state.is_executing = False
    host = create_host(state, facts={"snapshot.Snapshot": raw({"host": "debian13"})})
    state.ops = {host: {}}
    made = Run(state, host)
    answer = host.get_fact

    def get_fact(fact: Any, *, _stdin: str, **arguments: Any) -> Any:
        made.scripts.append(_stdin)
        return answer(fact)

    monkeypatch.setattr(host, "get_fact", get_fact)
    monkeypatch.setattr(reading.time, "monotonic", lambda: made.clock)
    with ctx_state.use(state), ctx_host.use(host):
        yield made


def test_a_run_that_changes_nothing_reads_once(run: Run) -> None:
    assert run.read() == 1
    run.state.is_executing = True
    run.execute()
    run.clock += reading.VALID_SECONDS - 1
    assert run.read() == 1


def test_a_change_of_ours_ends_a_reading(run: Run) -> None:
    run.read()
    reading.forget("swap.file")
    assert run.read() == 1, "while operations only plan, nothing changes"
    run.state.is_executing = True
    reading.forget("swap.file")
    assert run.read() == 2


def test_a_reading_from_before_a_change_that_is_nothing_to_the_caller_will_do(run: Run) -> None:
    run.read()
    run.state.is_executing = True
    run.change("toolkit.proof")
    others = ("toolkit.proof", "firewall.rules")
    assert run.read(despite=others) == 1
    run.change("firewall.rules")
    assert run.read(despite=others) == 1
    assert run.read(despite=("toolkit.proof",)) == 2, "the firewall's change is one to this caller"


@pytest.mark.parametrize("by_others", [False, True])
def test_any_other_change_ends_the_reading_for_everybody(run: Run, by_others: bool) -> None:
    run.read()
    run.state.is_executing = True
    run.change("toolkit.proof")
    if by_others:
        run.execute("swapoff -a")
    else:
        run.change("swap.file")
    assert run.read(despite=("toolkit.proof",)) == 2


def test_whose_changes_are_nothing_to_an_operation_are_operations() -> None:
    directory = Path(reading.__file__).parent
    written = "".join(file.read_text(encoding="utf-8") for file in directory.glob("*.py"))
    names = re.findall(r'"([\w.]+)"', "".join(re.findall(r"despite=\[[^]]*\]", written)))
    assert len(names) >= 5
    for name in names:
        noun, _, function = name.partition(".")
        made = getattr(import_module(f"gpuhost.operations.{noun}"), function)
        assert hasattr(made, "_inner"), name


def test_an_operation_reads_again_what_it_has_changed_itself(run: Run) -> None:
    run.read()
    run.state.is_executing = True
    reading.forget("firewall.rules")
    assert run.read(despite=("toolkit.proof",)) == 2


def test_a_change_by_another_operation_ends_a_reading(run: Run) -> None:
    run.read()
    run.state.is_executing = True
    run.execute("swapoff -a")
    assert run.read() == 2
    assert run.read() == 2


def test_a_reading_that_waited_for_a_person_is_old(run: Run) -> None:
    run.read()
    run.clock += reading.VALID_SECONDS
    assert run.read() == 2


def test_operations_that_do_not_know_the_settings_need_no_other_reading(run: Run) -> None:
    assert run.read(swap_path="/data/swapfile", docker_data_root="/data/docker") == 1
    assert run.read() == 1
    assert run.read(swap_path="/data/swapfile") == 1


def test_other_paths_are_read_once_more_and_with_the_first(run: Run) -> None:
    run.read()
    assert run.read(swap_path="/data/swapfile") == 2
    assert "/data/swapfile" in run.scripts[1]
    assert run.read() == 2


def test_what_was_read_before_a_change_is_read_after_it_too(run: Run) -> None:
    run.read(swap_path="/data/swapfile")
    run.state.is_executing = True
    run.change("toolkit.proof")
    run.read()
    assert run.read(swap_path="/data/swapfile") == 2


def test_a_host_that_is_lost_while_it_is_changed_is_named_with_the_next_step(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyinfra has said why; it raises an error if no other host is left."""

    def no_hosts_remain(fact: Any, **arguments: Any) -> Any:
        raise PyinfraError("No hosts remaining!")

    run.state.is_executing = True
    monkeypatch.setattr(run.host, "get_fact", no_hosts_remain)
    snapshot = reading.read(Settings())
    with pytest.raises(NotRead, match="cannot be read any more: run the deploy again when it can"):
        _ = snapshot.docker
