"""A function among an operation's commands connects with the same arguments as its commands."""

from __future__ import annotations

import base64
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, FunctionCommand, State, operation
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.connectors.util import CommandOutput, OutputLine

from gpuhost.domain.apt.repository import Repository
from gpuhost.operations.repository import _install_key
from gpuhost.remote.commands import connector_arguments

KEY = Path(__file__).parents[1] / "fixtures" / "openpgp" / "rsa2048.gpg"
GIVEN = {"_sudo": True, "_sudo_password": "hunter2", "_stdin": None, "name": "Repository"}
VENDOR = Repository(
    "vendor", "https://vendor.invalid", "/", "", "amd64", "https://vendor.invalid/key",
    "261B2DF87EEB662DB23452BF182F8E9D4C05BC88",
)  # fmt: skip


class FakeHost:
    """A host that answers every command with the key; `seen` has the arguments of each."""

    def __init__(self) -> None:
        self.current_op_global_arguments = GIVEN
        self.seen: list[dict[str, Any]] = []

    def run_shell_command(self, command: object, **how: Any) -> tuple[bool, CommandOutput]:
        self.seen.append(how)
        key = base64.b64encode(KEY.read_bytes()).decode("ascii")
        return True, CommandOutput([OutputLine("stdout", key)])


@pytest.mark.parametrize(("key_file", "commands"), [(None, 2), (str(KEY), 1)])
def test_a_repository_key_is_installed_by_sudo_with_its_password(
    key_file: str | None, commands: int
) -> None:
    host: Any = FakeHost()
    assert _install_key(host, host, VENDOR, key_file)
    assert len(host.seen) == commands
    for how in host.seen:
        assert how["_sudo"] is True
        assert how["_sudo_password"] == "hunter2"
        assert "name" not in how
    assert host.seen[-1]["_stdin"].startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")


def test_pyinfra_keeps_the_arguments_while_the_function_runs() -> None:
    seen: list[dict[str, Any]] = []

    def look(state: State, host: Host) -> None:
        seen.append(connector_arguments(host))

    @operation()
    def looking() -> Generator[FunctionCommand, None, None]:
        yield FunctionCommand(look, (), {})

    state = State(Inventory((["@local"], {"_sudo_password": "hunter2"})), Config())
    connect_all(state)
    add_op(state, looking, _sudo=True, _env={"A": "b"})
    run_ops(state)
    (arguments,) = seen
    assert (arguments["_sudo"], arguments["_sudo_password"]) == (True, "hunter2")
    assert arguments["_env"] == {"A": "b"}
    assert "name" not in arguments


def test_outside_an_operation_there_are_none() -> None:
    host: Any = FakeHost()
    host.current_op_global_arguments = None
    assert connector_arguments(host) == {}
