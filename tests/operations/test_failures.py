"""A failed operation stops what needs it; the rest goes on, and the host fails at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest
from pyinfra.api import Config, FunctionCommand, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage

from gpuhost.checks.finding import Finding, Status
from gpuhost.operations import failures, verification
from gpuhost.operations.reading import Commands, operation

BAD, GOOD = "@fake/bad", "@fake/good"
APT = "timeout 9 sh -s -- 300 apt-get -q -y install x"


@dataclass
class Run:
    """A run on two hosts; on the first, some operations fail.

    + done: what ran to its end or failed itself, by host
    """

    fails: tuple[str, ...]
    done: dict[str, list[str]] = field(default_factory=lambda: {BAD: [], GOOD: []})

    def operation(self, key: str, *first: str) -> Callable[..., Any]:
        """One like gpuhost.operations.MODULE.FUNCTION.

        + first: commands that come before
        """

        def function() -> Commands:
            yield from first
            yield FunctionCommand(self._run, (key,), {})

        module, function.__name__ = key.split(".")
        function.__module__ = f"gpuhost.operations.{module}"
        return operation(function)

    def _run(self, state: State, host: Host, key: str) -> bool:
        self.done[host.name].append(key)
        return host.name != BAD or key not in self.fails


@dataclass(frozen=True)
class Ended:
    done: dict[str, list[str]]
    summary: list[str]
    failed: list[str]


def run(
    keys: tuple[str, ...],
    *fails: str,
    findings: tuple[Finding, ...] = (),
    apt: tuple[str, ...] = (),
) -> Ended:
    """+ findings: of the verification on the first host; apt: operations that begin with apt-get"""
    made = Run(fails)
    state = State(Inventory(([BAD, GOOD], {"fake_delay": 0})), Config())
    state.current_stage = StateStage.Prepare
    connect_all(state)
    bad, _ = state.inventory
    for host in state.inventory:
        failures.continue_after_failures(state, host)
    failures.note_findings(bad, findings)
    for key in keys:
        add_op(
            state,
            made.operation(key, *([APT] if key in apt else [])),
            name=key.upper(),
            _ignore_errors=True,
        )
    add_op(state, verification.conclude, name="Result")
    run_ops(state)
    failed = [host.name for host in state.failed_hosts]
    # The result itself is an operation that fails, after it has printed the others.
    summary = [line for line in failures.summary(bad) if line != "failed: Result"]
    return Ended(made.done, summary, failed)


ALL = (
    *("system.packages", "nvidia.driver", "nvidia_upkeep.hold", "nvidia.load", "nvidia_mig.layout"),
    "docker.engine",
    *("toolkit.packages", "toolkit.cdi", "docker.daemon_json", "build.apt_cache", "toolkit.proof"),
    *("firewall.rules", "system.security_updates", "nginx.packages", "app.release"),
)


def test_if_nothing_fails_everything_runs_and_the_host_is_good() -> None:
    ended = run(ALL)
    assert ended == Ended({BAD: [*ALL], GOOD: [*ALL]}, [], [])


def without(*skipped: str) -> list[str]:
    return [key for key in ALL if key not in skipped]


@pytest.mark.parametrize(
    ("fails", "skipped"),
    [
        ("docker.engine", ("build.apt_cache", "toolkit.proof", "app.release")),
        (
            "nvidia.driver",
            ("nvidia.load", "nvidia_mig.layout", "toolkit.cdi", "toolkit.proof", "app.release"),
        ),
        ("toolkit.packages", ("toolkit.cdi", "toolkit.proof", "app.release")),
        ("nginx.packages", ("app.release",)),
        ("nvidia_mig.layout", ("app.release",)),
        ("firewall.rules", ()),
        ("nvidia_upkeep.hold", ()),
        ("system.packages", ()),
    ],
)
def test_a_failure_stops_only_what_needs_it(fails: str, skipped: tuple[str, ...]) -> None:
    ended = run(ALL, fails)
    assert ended.done == {BAD: without(*skipped), GOOD: [*ALL]}
    assert ended.failed == [BAD]
    assert ended.summary[0] == f"failed: {fails.upper()}"
    # What needs something that was skipped has the same reason.
    because = f"{fails.upper()} failed"
    assert ended.summary[1:] == [f"skipped: {key.upper()}: {because}" for key in skipped]


def test_a_failure_that_is_only_a_finding_does_not_fail_the_host() -> None:
    ended = run(ALL, "toolkit.cdi", "toolkit.proof")
    assert ended == Ended({BAD: [*ALL], GOOD: [*ALL]}, [], [])


def test_without_a_package_manager_nothing_waits_for_it_again() -> None:
    """What needs no package is repaired."""
    apt = ("docker.engine", "firewall.rules")
    ended = run(ALL, "system.packages", apt=apt)
    expected = without(*apt, "build.apt_cache", "toolkit.proof", "app.release")
    assert ended.done == {BAD: expected, GOOD: [*ALL]}
    assert "skipped: FIREWALL.RULES: SYSTEM.PACKAGES failed" in ended.summary


@pytest.mark.parametrize(
    ("id", "status", "released"),
    [
        ("docker.config", Status.FAIL, False),
        ("nvidia.driver", Status.FAIL, False),
        ("nginx.running", Status.FAIL, False),
        ("docker.config", Status.WARN, True),
        ("disk.full", Status.FAIL, True),
        ("firewall.enabled", Status.FAIL, True),
    ],
)
def test_apps_are_not_released_on_what_is_not_verified(
    id: str, status: Status, released: bool
) -> None:
    finding = Finding(status, "a", "b", "", "c", False, id)
    ended = run(("app.release",), findings=(finding,))
    assert bool(ended.done[BAD]) is released
    reason = f"skipped: APP.RELEASE: {finding.noun} is not verified"
    assert ended.summary == ([] if released else [reason])


def test_every_name_in_the_table_exists() -> None:
    for key, needs in failures.NEEDS.items():
        for name in (key, *needs, failures.PACKAGES, *failures.ONLY_FINDINGS):
            module, _, function = name.partition(".")
            found = import_module(f"gpuhost.operations.{module}")
            assert not function or hasattr(getattr(found, function), "_inner"), name
