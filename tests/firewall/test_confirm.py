"""The login that confirms a change: a new one with the same data, or the change is reverted."""

from __future__ import annotations

from typing import Any

import pytest
from pyinfra.api.exceptions import ConnectError

from gpuhost.operations.firewall import confirm

GUARD = "/usr/local/lib/gpuhost/firewall"


class Output:
    stderr = "firewall: nothing to confirm: the change was undone before"


class FakeConnector:
    """A login; `broken` is the part that fails: connect, command or disconnect."""

    broken = ""
    ran: list[str]

    def __init__(self, state: object, host: FakeHost) -> None:
        self.ran = host.ran_afresh
        self.host = host
        self.client = self

    def disconnect(self) -> None:
        self.host.logged_out.append("disconnect")
        if self.broken == "disconnect":
            raise OSError("Socket is closed")

    def close(self) -> None:
        self.host.logged_out.append("close")

    def connect(self) -> None:
        if self.broken == "connect":
            raise ConnectError("Could not connect (timed out)")

    def run_shell_command(self, command: Any, **arguments: Any) -> tuple[bool, Output]:
        self.ran.append(f"{command} {arguments.get('_sudo', False)}")
        return self.broken != "command", Output()


class FakeHost:
    def __init__(self, broken: str) -> None:
        self.connector_cls = type("Connector", (FakeConnector,), {"broken": broken})
        self.ran: list[str] = []
        self.ran_afresh: list[str] = []
        self.logged_out: list[str] = []
        self.said = ""
        self.current_op_global_arguments = {"_sudo": True, "name": "Firewall"}

    def log_styled(self, message: str, **style: Any) -> None:
        self.said = message

    def run_shell_command(self, command: Any, **arguments: Any) -> tuple[bool, Output]:
        self.ran.append(f"{command} {arguments.get('_sudo', False)}")
        return True, Output()


def confirmed(broken: str) -> tuple[bool, FakeHost]:
    host: Any = FakeHost(broken)
    return confirm(host, host), host


def test_a_new_login_confirms_and_the_old_one_does_nothing() -> None:
    done, host = confirmed("")
    assert done
    assert host.ran_afresh == [f"LC_ALL=C timeout -k 5 60 {GUARD} confirm True"]
    assert host.ran == []
    assert host.logged_out == ["disconnect", "close"]


def test_a_logout_that_fails_changes_nothing() -> None:
    done, host = confirmed("disconnect")
    assert done
    assert host.ran == []
    assert host.logged_out == ["disconnect"]


@pytest.mark.parametrize(
    ("broken", "says"), [("connect", "timed out"), ("command", "nothing to confirm")]
)
def test_if_it_fails_the_old_login_reverts_the_change(broken: str, says: str) -> None:
    done, host = confirmed(broken)
    assert not done
    assert says in host.said
    assert host.ran == [f"LC_ALL=C timeout -k 5 300 {GUARD} revert True"]
    assert host.logged_out == ["disconnect", "close"]
