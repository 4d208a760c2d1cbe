"""A login shell's greeting is no part of an answer: bash reads ~/.bashrc also for one command."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from pyinfra.connectors.util import CommandOutput, OutputLine

from gpuhost.operations.drift import print_key
from gpuhost.operations.nvidia_reboot import _boot
from gpuhost.operations.repository import _download
from tests.operations.test_connector_arguments import KEY, VENDOR

# The last does not end its line.
GREETINGS = ("", "Welcome to Ubuntu!\nup 3 days\n", "\x1b[33mup 3 days", "a2V5\n")
PUBLIC_KEY = "ssh-ed25519 AAAA gpuhost@hub"


class FakeHost:
    """A host that greets before it answers; `logged` has what it was told to print."""

    def __init__(self, greeting: str, answer: str) -> None:
        self.current_op_global_arguments: dict[str, Any] = {}
        self._greeting, self._answer = greeting, answer
        self.logged: list[str] = []
        self.log = self.logged.append

    def run_shell_command(self, command: object, **how: Any) -> tuple[bool, CommandOutput]:
        answer = self._answer
        if "_stdin" in how:
            answer = subprocess.check_output(["sh"], input=how["_stdin"], text=True)
        lines = f"{self._greeting}{answer}".splitlines()
        return True, CommandOutput([OutputLine("stdout", line) for line in lines])


def _key(host: Any) -> bytes:
    return _download(host, VENDOR)


def _boot_id(host: Any) -> str:
    return _boot(host, {})


def _drift_key(host: Any) -> list[str]:
    assert print_key(host, host)
    return [line for line in host.logged if PUBLIC_KEY in line]


@pytest.mark.parametrize("greeting", GREETINGS)
@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (f"\n{base64.b64encode(KEY.read_bytes()).decode()}", _key),
        ("", _boot_id),
        (f"\n{PUBLIC_KEY}\n", _drift_key),
    ],
)
def test_an_answer_is_the_same_with_and_without(
    greeting: str, answer: str, read: Callable[[Any], object]
) -> None:
    expected = read(FakeHost("", answer))
    assert expected
    assert read(FakeHost(greeting, answer)) == expected
