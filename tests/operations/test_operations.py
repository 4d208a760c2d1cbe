"""Operations as data: a recorded host, arguments, the commands. cases/NOUN.OPERATION.yaml."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.operations import parse_commands
from pyinfra_testing.util import FakeState, create_host, parse_value

from tests.recorded import raw

CASES = Path(__file__).parent / "cases"


def _cases() -> list[Any]:
    return [
        pytest.param(file.stem, case, id=f"{file.stem}: {case['name']}")
        for file in sorted(CASES.glob("*.yaml"))
        for case in yaml.safe_load(file.read_text("utf-8"))
    ]


@pytest.mark.parametrize(("operation", "case"), _cases())
def test_commands(operation: str, case: dict[str, Any]) -> None:
    """Exactly these commands, or `noop` if there is nothing to do."""
    commands, noop = _outcome(operation, case)
    assert commands == [
        _replace_any(w, c) for w, c in zip_longest(case.get("commands", []), commands)
    ]
    if "noop" in case:
        assert noop == case["noop"]
    else:
        assert commands, "a case without commands names the noop"


WAITING = {
    "app_tools.packages", "build.apt_cache", "docker.engine", "firewall.rules",
    "nginx.packages", "nvidia.driver",
    "nvidia_upkeep.fabric_manager",
    "system.clock", "system.packages", "system.python", "system.security_updates",
    "toolkit.packages",
}  # fmt: skip


@pytest.mark.slow
def test_apt_waits_as_long_as_lock_timeout_s() -> None:
    """In every case: each apt command, and the script that runs apt for the toolkit."""
    waiting = set()
    for file in sorted(CASES.glob("*.yaml")):
        arguments = signature(_function(file.stem)._inner).parameters
        arguments_given = {name: 900 for name in arguments if name == "lock_timeout_s"}
        for case in yaml.safe_load(file.read_text("utf-8")):
            commands = [
                line for line in _outcome(file.stem, case, **arguments_given)[0] if _calls_apt(line)
            ]
            assert all("=900 " in line or "script 900 " in line for line in commands), case["name"]
            waiting |= {file.stem} if commands else set()
    assert waiting == WAITING


def _calls_apt(command: Any) -> bool:
    return isinstance(command, str) and command.startswith(
        ("apt-get ", "script 900 ", "script 300 ")
    )


def _function(operation: str) -> Any:
    module, _, name = operation.rpartition(".")
    return getattr(import_module(f"gpuhost.operations.{module}"), name)


def _outcome(operation: str, case: dict[str, Any], **more: Any) -> tuple[list[Any], str | None]:
    """The commands as the cases write them, and the text of a noop."""
    state = FakeState()
    host = create_host(state, facts={"snapshot.Snapshot": raw(case), **case.get("facts", {})})
    state.ops = {host: {}}
    with ctx_state.use(state), ctx_host.use(host):
        generator = _function(operation)._inner(**{**_arguments(case), **more})
        commands = [_shown(command) for command in parse_commands(list(generator))]
    return commands, host.noop_description


def _arguments(case: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = parse_value(case.get("args", {}))
    return arguments


def _shown(command: Any) -> Any:
    """A command as the cases write it: without environment and time limit."""
    if isinstance(command, dict) and "_stdin" not in command:
        command = command["command"]
    if isinstance(command, dict):
        line = _plain(str(command["command"]))
        if line == "python3 -I -":
            return {"python": command["_stdin"].rstrip().splitlines()[-1]}
        # A case has the content of a file, but not the text of a script.
        if " apt-get " in f" {line} ":
            return line.partition("apt-get ")[1] + line.partition("apt-get ")[2]
        if " sh -s -- " in f" {line} " or line.startswith("sh -s"):
            return f"script {line.removeprefix('sh -s -- ')}"
        return {"put": _target(line), "content": command["_stdin"]}
    return _plain(command) if isinstance(command, str) else command


def _replace_any(expected: Any, command: Any) -> Any:
    """ANY matches a content or arguments that another case has in full."""
    has_any = isinstance(expected, dict) and expected.get("content") == "ANY"
    if has_any and isinstance(command, dict):
        return {**expected, "content": command.get("content")}
    if isinstance(expected, list) and expected[1:] == ["ANY"] and isinstance(command, list):
        return [expected[0], *command[1:]]
    return expected


def _plain(line: str) -> str:
    words = line.split()
    while words and ("=" in words[0] or words[0] in ("timeout", "-k", "5") or words[0].isdigit()):
        words.pop(0)
    return " ".join(words)


def _target(line: str) -> str:
    """PATH MODE, the last two words of a `put`."""
    return " ".join(line.split()[-2:])
