"""Operations on the firewall."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from paramiko import SSHException
from pyinfra import host
from pyinfra.api import FunctionCommand, State, StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host

from gpuhost.operations.findings import failing_ids
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.operations.units import enable_missing, refuse_files, remove_units, write_files
from gpuhost.plans.apt_archives import optional_archives
from gpuhost.plans.firewall import change, removal
from gpuhost.plans.firewall_files import GUARD, LOAD_UNIT, UNDO_UNIT, host_files
from gpuhost.plans.firewall_in_use import is_in_place, refusal
from gpuhost.plans.host_file import HostFile
from gpuhost.remote.apt import LOCK_TIMEOUT_S, apt_update_install
from gpuhost.remote.commands import connector_arguments, run
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.units import read_unit

# ufw needs half a second for each rule.
CHANGE_SECONDS = 300
CONFIRM_SECONDS = 60
# The time limit of the unit, and a little more.
LOAD_SECONDS = 190
# What rules of others do: a person decides about them.
BY_HAND = {"firewall.reached", "firewall.foreign"}


@operation
def rules(
    allow: tuple[str, ...] = (),
    confirm_s: int = 120,
    adopt: bool = False,
    present: bool = True,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Close every port, published ports of containers too, except SSH and the allowed ones. The host
    itself reverts the change unless a new login succeeds in time, even if the host restarts or this
    run ends early. Rules that others made are kept.

    + allow: "80/tcp", "3000/tcp from 10.0.0.0/8", "8000:8100/tcp", "53/udp from 2001:db8::/32"
    + confirm_s: seconds until an unconfirmed change is reverted
    + adopt: continue even if this closes a port that is in use
    + present: False: remove gpuhost's rules; ufw stays installed, and is disabled only if gpuhost
      enabled it
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import firewall
        firewall.rules(name="Firewall", allow=("80/tcp", "3000/tcp from 10.0.0.0/8"))
    """
    settings = Settings(
        firewall_allow=tuple(allow),
        firewall_confirm_s=confirm_s,
        adopt=adopt,
        apt_lock_timeout_s=lock_timeout_s,
    )
    if present:
        yield from _close(read(settings, despite=["toolkit.proof"]), settings)
    else:
        yield from _remove(read(settings), settings)


def _close(snapshot: Snapshot, settings: Settings) -> Commands:
    if problem := refusal(snapshot, settings):
        refuse("firewall", problem.reason)
        return
    if not failing_ids(snapshot, settings, "firewall") - BY_HAND:
        host.noop("the firewall is as declared")
        return
    guard = _differing(snapshot)
    if refuse_files("firewall", snapshot, [file.path for file in guard], adopt=settings.adopt):
        return
    if not snapshot.firewall.ufw.installed:
        yield from apt_update_install(
            ["ufw"],
            optional=optional_archives(snapshot),
            lock_timeout_s=settings.apt_lock_timeout_s,
        )
    yield from _install_guard(snapshot)
    yield from _change(change(snapshot.firewall, settings), settings)
    if not read_unit(snapshot.probes, LOAD_UNIT).active:
        # From now on it runs again with every restart of the engine.
        yield run("systemctl", "start", LOAD_UNIT, seconds=LOAD_SECONDS)


def _remove(snapshot: Snapshot, settings: Settings) -> Commands:
    installed = [file.path for file in host_files() if snapshot.paths.get(file.path)]
    if not is_in_place(snapshot.firewall) and not installed:
        host.noop("gpuhost has no firewall rules on this host")
        return
    if is_in_place(snapshot.firewall):
        guard = [file.path for file in _differing(snapshot)]
        if refuse_files("firewall", snapshot, guard, adopt=settings.adopt):
            return
        yield from _install_guard(snapshot)
        yield from _change(removal(snapshot.firewall), settings)
    paths = [file.path for file in host_files()]
    yield from remove_units(snapshot, paths, LOAD_UNIT, UNDO_UNIT)


def _differing(snapshot: Snapshot) -> list[HostFile]:
    return [file for file in host_files() if not file.is_on(snapshot)]


def _install_guard(snapshot: Snapshot) -> Commands:
    """Install the script that reverts a change, and its units, before the first change."""
    files = _differing(snapshot)
    yield from write_files(snapshot, files)
    yield from enable_missing(snapshot, files, LOAD_UNIT, UNDO_UNIT)


def _change(text: str, settings: Settings) -> Commands:
    """Change the rules, with the revert armed, and confirm by a new login."""
    words = run(GUARD, "change", settings.firewall_confirm_s, seconds=CHANGE_SECONDS)
    yield StringCommand(*words.bits, _stdin=text)
    yield FunctionCommand(confirm, (), {})


def confirm(state: State, host: Host) -> bool:
    """Log in again and disarm the revert; if that fails, revert at once over the old connection.

    On `@local` there is no login: a command that succeeds confirms the change.
    """
    arguments = connector_arguments(host)
    done, reason = _confirm_by_login(host.connector_cls(state, host), arguments)
    if done:
        return True
    host.log_styled(f"a new login failed, the firewall change is reverted: {reason}", fg="red")
    with suppress(SSHException, EOFError, OSError):
        host.run_shell_command(run(GUARD, "revert", seconds=CHANGE_SECONDS), **arguments)
    return False


def _confirm_by_login(connector: Any, arguments: dict[str, Any]) -> tuple[bool, str]:
    """Whether a new login could confirm the change; if not, why."""
    try:
        connector.connect()
        done, output = connector.run_shell_command(
            run(GUARD, "confirm", seconds=CONFIRM_SECONDS),
            print_output=False,
            print_input=False,
            **arguments,
        )
        return done, output.stderr or f"{GUARD} confirm failed"
    except (ConnectError, SSHException, EOFError, OSError) as error:
        return False, str(error)
    finally:
        _disconnect(connector)


def _disconnect(connector: Any) -> None:
    """Close what pyinfra leaves open. An error here says nothing about the change."""
    with suppress(SSHException, EOFError, OSError):
        connector.disconnect()
        client = getattr(connector, "client", None)
        if client is not None:
            client.close()
