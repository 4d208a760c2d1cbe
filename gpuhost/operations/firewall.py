"""The write side of the firewall."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from paramiko import SSHException
from pyinfra import host
from pyinfra.api import FunctionCommand, State, StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host

from gpuhost.checks.registry import failing
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.firewall import change, removal
from gpuhost.plans.firewall_files import GUARD, LOAD_UNIT, UNDO_UNIT, host_files, is_as_shipped
from gpuhost.plans.firewall_in_use import is_in_place, refusal
from gpuhost.remote.commands import (
    apt_install,
    apt_update,
    connector_arguments,
    put,
    refuse,
    remove,
    run,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# ufw takes half a second for a rule, and a hundred of them are a lot.
CHANGE_TIMEOUT = 300
CONFIRM_TIMEOUT = 60


@operation
def rules(
    allow: tuple[str, ...] = (),
    confirm_s: int = 120,
    adopt: bool = False,
    apt_lock_timeout_s: int = 300,
) -> Commands:
    """
    Close every port but SSH's and those that are allowed, those of containers too. The change is
    undone by the host itself unless a second, fresh login succeeds in time, also if the host
    restarts or this run ends before. Rules that somebody else made are kept.

    + allow: "80/tcp", "3000/tcp from 10.0.0.0/8", "8000:8100/tcp", "53/udp from 2001:db8::/32"
    + confirm_s: seconds until an unconfirmed change is undone
    + adopt: go on although this closes something on a machine that was used before
    + apt_lock_timeout_s: how long to wait for another apt, in seconds

    **Example:**

    .. code:: python

        from gpuhost.operations import firewall
        firewall.rules(name="Firewall", allow=("80/tcp", "3000/tcp from 10.0.0.0/8"))
    """
    settings = Settings(
        firewall_allow=tuple(allow),
        firewall_confirm_s=confirm_s,
        adopt=adopt,
        apt_lock_timeout_s=apt_lock_timeout_s,
    )
    snapshot = read(settings)
    hindrance = refusal(snapshot, settings)
    if hindrance:
        refuse("firewall", hindrance.reason)
        return
    if not failing(snapshot, settings, "firewall"):
        host.noop("the firewall is as declared")
        return
    if not snapshot.firewall.ufw.installed:
        yield apt_update(lock_timeout=apt_lock_timeout_s)
        yield apt_install(["ufw"], lock_timeout=apt_lock_timeout_s)
    yield from _install_guard(snapshot)
    yield from _make(change(snapshot.firewall, settings), confirm_s)


@operation
def removed(confirm_s: int = 120) -> Commands:
    """
    Take gpuhost's rules away and leave those of others. ufw is switched off only if it was
    gpuhost that switched it on; it stays installed.

    + confirm_s: seconds until an unconfirmed change is undone

    **Example:**

    .. code:: python

        from gpuhost.operations import firewall
        firewall.removed(name="No firewall of ours")
    """
    settings = Settings(firewall_confirm_s=confirm_s)
    snapshot = read(settings)
    installed = [file.path for file in host_files() if snapshot.paths.get(file.path)]
    if not is_in_place(snapshot.firewall) and not installed:
        host.noop("gpuhost has no rules on this host")
        return
    if is_in_place(snapshot.firewall):
        yield from _install_guard(snapshot)
        yield from _make(removal(snapshot.firewall), confirm_s)
    yield run("systemctl", "disable", LOAD_UNIT, UNDO_UNIT)
    yield remove(*(file.path for file in host_files()))
    yield run("systemctl", "daemon-reload")


def _install_guard(snapshot: Snapshot) -> Commands:
    """The script that can undo, and the units that run it, before anything is to be undone."""
    differing = [file for file in host_files() if not is_as_shipped(snapshot, file)]
    for file in differing:
        yield put(file.path, file.content, mode=file.mode)
    if differing:
        yield run("systemctl", "daemon-reload")
    units = snapshot.firewall.units
    if not all(name in units and units[name].enabled for name in (LOAD_UNIT, UNDO_UNIT)):
        yield run("systemctl", "enable", LOAD_UNIT, UNDO_UNIT)


def _make(text: str, confirm_s: int) -> Commands:
    """Arm, change, and let a fresh login confirm it."""
    words = ("LC_ALL=C", "timeout", "-k", "5", str(CHANGE_TIMEOUT), GUARD, "change", str(confirm_s))
    yield StringCommand(*words, _stdin=text)
    yield FunctionCommand(confirm, (), {})


def confirm(state: State, host: Host) -> bool:
    """Log in afresh and disarm the undo; if that fails, undo at once over the old connection.

    On `@local` there is no login: that the host still does what it is told confirms it.
    """
    arguments = connector_arguments(host)
    done, reason = _confirm_afresh(host.connector_cls(state, host), arguments)
    if done:
        return True
    host.log_styled(f"a fresh login failed, the firewall's change is undone: {reason}", fg="red")
    with suppress(SSHException, EOFError, OSError):
        host.run_shell_command(run(GUARD, "revert", seconds=CHANGE_TIMEOUT), **arguments)
    return False


def _confirm_afresh(connector: Any, arguments: dict[str, Any]) -> tuple[bool, str]:
    """Whether a new login could confirm; if not, why."""
    try:
        connector.connect()
        done, output = connector.run_shell_command(
            run(GUARD, "confirm", seconds=CONFIRM_TIMEOUT),
            print_output=False,
            print_input=False,
            **arguments,
        )
        return done, output.stderr or f"{GUARD} confirm failed"
    except (ConnectError, SSHException, EOFError, OSError) as error:
        return False, str(error)
    finally:
        _log_out(connector)


def _log_out(connector: Any) -> None:
    """pyinfra leaves a connection open. How the logging out goes says nothing of the change."""
    with suppress(SSHException, EOFError, OSError):
        connector.disconnect()
        client = getattr(connector, "client", None)
        if client is not None:
            client.close()
