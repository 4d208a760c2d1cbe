"""Reboot a host for its driver, reconnect, and wait until the driver answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from paramiko import SSHException
from pyinfra import logger
from pyinfra.api import State, StringCommand
from pyinfra.api.host import Host
from pyinfra.connectors.util import clear_askpass_cache

from gpuhost.remote.commands import connector_arguments, last_line, run, run_on

# Self-tests of a server with much memory and many cards take more than ten minutes.
BACK_SECONDS = 1800
LOADED_SECONDS = 300
PAUSE_SECONDS = 3
REPORT_SECONDS = 30
# Sent to a shell. The kernel's boot id identifies the boot; a container shares it, so there the
# start time of the first process does.
BOOT = """set -e
id=$(cat /proc/sys/kernel/random/boot_id)
started=$(cut -d ' ' -f 22 /proc/1/stat)
printf '\\n%s %s\\n' "$id" "$started"
"""


def is_this_machine(host: Host) -> bool:
    """@local: a reboot would end gpuhost too."""
    return bool(host.name == "@local")


def reboot(state: State, host: Host, reason: str) -> bool:
    """Reboot, wait for the next boot, and until nvidia-smi answers there.

    A host that does not return, or returns without the driver, fails; other hosts continue.
    """
    arguments = connector_arguments(host)
    before = _boot(host, arguments)
    if not before:
        return _fail(host, "the boot id could not be read: not rebooted")
    _log(host, f"rebooting: {reason}")
    # A unit survives the end of the connection.
    command = run(
        "systemd-run", "--quiet", "--on-active=2", "--timer-property=AccuracySec=100ms",
        "systemctl", "reboot",
    )  # fmt: skip
    done, output = run_on(host, command)
    if not done:
        return _fail(host, f"the reboot failed: {output.stderr}")
    clear_askpass_cache(host)
    host.disconnect()
    began = monotonic()
    if not _wait(host, BACK_SECONDS, "to boot", lambda: _is_back(host, before, arguments)):
        return _fail(host, f"not back {BACK_SECONDS} s after its reboot")
    _log(host, f"back after {monotonic() - began:.0f} s")
    if not _wait(host, LOADED_SECONDS, "to load the driver", lambda: _answers(host, arguments)):
        return _fail(host, f"{LOADED_SECONDS} s after the reboot nvidia-smi does not answer")
    return True


def _wait(host: Host, seconds: float, purpose: str, is_done: Callable[[], bool]) -> bool:
    began = monotonic()
    logged = began
    while not is_done():
        if monotonic() - began > seconds:
            return False
        if monotonic() - logged > REPORT_SECONDS:
            logged = monotonic()
            _log(host, f"waiting for the host {purpose}, {logged - began:.0f} of {seconds:.0f} s")
        sleep(PAUSE_SECONDS)
    return True


def _is_back(host: Host, before: str, arguments: dict[str, Any]) -> bool:
    host.connected = False
    host.connect(show_errors=False)
    return bool(host.connected) and _boot(host, arguments) not in ("", before)


def _boot(host: Host, arguments: dict[str, Any]) -> str:
    """The id of the current boot; empty if it cannot be read."""
    with suppress(SSHException, EOFError, OSError):
        limited = {**arguments, "_stdin": BOOT, "_timeout": 20}
        done, output = host.run_shell_command(StringCommand("LC_ALL=C timeout 10 sh"), **limited)
        return last_line(output) if done else ""
    return ""


def _answers(host: Host, arguments: dict[str, Any]) -> bool:
    with suppress(SSHException, EOFError, OSError):
        done, _ = host.run_shell_command(run("nvidia-smi", "-L", seconds=60), **arguments)
        return bool(done)
    return False


def _log(host: Host, text: str) -> None:
    logger.info(f"{host.print_prefix}nvidia: {text}")


def _fail(host: Host, reason: str) -> bool:
    host.log_styled(f"nvidia: {reason}", fg="red")
    return False
