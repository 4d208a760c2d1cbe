"""The steps of the deploy pass declared settings to the operations that have them."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from gpuhost.operations import nvidia_mig, nvidia_upkeep, repository, system_upkeep
from gpuhost.settings import Settings
from gpuhost.steps import apt, docker, firewall, nvidia, system, toolkit

STEPS = {
    "apt.mirror": [apt.apply, apt.remove],
    "docker.engine": [docker.apply],
    "firewall.rules": [firewall.apply],
    "nvidia.driver": [nvidia.apply],
    "nvidia_upkeep.fabric_manager": [nvidia.apply],
    "system.clock": [system.apply],
    "system.packages": [system.wait_for_package_manager],
    "system.python": [system.apply],
    "system.security_updates": [system.enable_security_updates],
    "toolkit.packages": [toolkit.apply, toolkit.remove],
}
WITH_A_STEP = (apt, docker, firewall, nvidia, system, toolkit)


@pytest.mark.parametrize(
    ("operation", "step"),
    [
        pytest.param(operation, step, id=f"{operation} in {step.__module__}.{step.__name__}")
        for operation, steps in STEPS.items()
        for step in steps
    ],
)
def test_apt_lock_timeout_s_arrives(
    monkeypatch: pytest.MonkeyPatch, operation: str, step: Callable[[Settings], None]
) -> None:
    calls = _recorded(monkeypatch)
    step(Settings(apt_lock_timeout_s=900))
    given = [calls[operation][name] for name in calls[operation] if name == "lock_timeout_s"]
    assert given == [900]


def _recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The arguments of each operation that a step calls; no operation runs."""
    calls: dict[str, dict[str, Any]] = {}
    for module in WITH_A_STEP:
        monkeypatch.setattr(module, "sudo_args", lambda settings: {})
    written = [vars(module)[module.__name__.rpartition(".")[2]] for module in WITH_A_STEP]
    for module in (*written, nvidia_mig, nvidia_upkeep, repository, system_upkeep):
        noun = module.__name__.rpartition(".")[2]
        for name, value in list(vars(module).items()):
            if hasattr(value, "_inner"):
                recorder = _recorder(calls, f"{noun}.{name}", signature(value))
                monkeypatch.setattr(module, name, recorder)
    return calls


def _recorder(calls: dict[str, dict[str, Any]], operation: str, of: Any) -> Callable[..., None]:
    def record(**arguments: Any) -> None:
        name = arguments.pop("name")
        assert name, "an unnamed operation leaks its arguments into the plan"
        own = {key: value for key, value in arguments.items() if not key.startswith("_")}
        calls[operation] = of.bind(**own).arguments

    return record


def test_no_step_repeats_an_argument_of_sudo_args() -> None:
    """In a deploy that continues after failures, a second `_ignore_errors` is a TypeError."""
    for path in Path(toolkit.__file__).parent.glob("*.py"):
        if path.name != "start.py":
            text = path.read_text(encoding="utf-8")
            assert "_ignore_errors=" not in text, path.name
            assert "_sudo=" not in text, path.name
