"""The commands that operations yield. Each has a time limit."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from pyinfra import host, logger
from pyinfra.api import Host, QuoteString, State, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, ConnectorArguments

QUICK = 30
APT_TIMEOUT = 1800
LOCK_TIMEOUT = 300


def run(*words: str | int | float, seconds: int = QUICK) -> StringCommand:
    """One program with its arguments, each quoted.

    + seconds: when it is ended
    """
    quoted = (QuoteString(str(word)) for word in words)
    return StringCommand("LC_ALL=C", "timeout", "-k", "5", str(seconds), *quoted)


def script(name: str, *arguments: str | int, seconds: int) -> StringCommand:
    """One of the scripts beside this module, sent on stdin, with its arguments."""
    quoted = (QuoteString(str(argument)) for argument in arguments)
    return StringCommand(
        "LC_ALL=C",
        "timeout",
        "-k",
        "5",
        str(seconds),
        "sh",
        "-s",
        "--",
        *quoted,
        _stdin=_text(name),
    )


def put(path: str, content: str, *, mode: str = "0644") -> StringCommand:
    """A whole file, written beside its path and renamed: never partial, never with too open a mode.

    The content goes on stdin: no log, plan, argument list or journal shows it.
    """
    return StringCommand(
        "LC_ALL=C",
        "timeout",
        "-k",
        "5",
        str(QUICK),
        "sh",
        "-c",
        QuoteString(
            'set -e; umask 022; mkdir -p "$(dirname "$1")"; umask 077; '
            'cat >"$1.gpuhost-new"; chmod "$2" "$1.gpuhost-new"; mv -f "$1.gpuhost-new" "$1"'
        ),
        "sh",
        QuoteString(path),
        QuoteString(mode),
        _stdin=content,
    )


def remove(*paths: str) -> StringCommand:
    return run("rm", "-f", "--", *paths)


def apt_update(*, lock_timeout: int = LOCK_TIMEOUT) -> StringCommand:
    return _apt_get("update", seconds=600, lock_timeout=lock_timeout)


def apt_install(
    packages: Iterable[str], *options: str, lock_timeout: int = LOCK_TIMEOUT
) -> StringCommand:
    """Install packages, `name` or `name=version`; keep configuration files that a person edited."""
    return _apt_get("install", *options, *packages, seconds=APT_TIMEOUT, lock_timeout=lock_timeout)


def apt_remove(packages: Iterable[str], *, lock_timeout: int = LOCK_TIMEOUT) -> StringCommand:
    return _apt_get("remove", *packages, seconds=APT_TIMEOUT, lock_timeout=lock_timeout)


def _apt_get(verb: str, *words: str, seconds: int, lock_timeout: int) -> StringCommand:
    """apt-get, when no other process holds its locks: apt itself waits only for one of the four."""
    quoted = (QuoteString(word) for word in words)
    return StringCommand(
        "LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1",
        f"timeout -k 5 {seconds + lock_timeout} sh -s -- {lock_timeout} apt-get -q -y",
        f"-o DPkg::Lock::Timeout={lock_timeout}",
        "-o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef",
        "-o APT::Update::Error-Mode=any" if verb == "update" else "--no-install-recommends",
        verb,
        *quoted,
        _stdin=_text("apt_idle.sh"),
    )


class Shown(StringCommand):
    """A command that waits; its output is shown while it runs, also without `-v`."""

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        connector_arguments.update(self.connector_arguments)
        return host.run_shell_command(
            self, print_output=True, print_input=state.print_input, **connector_arguments
        )


def shown(command: StringCommand) -> Shown:
    return Shown(*command.bits, **command.connector_arguments)


def wait_for_apt(seconds: int) -> Shown:
    """Wait until apt's and dpkg's locks are free, and name their holder; fail after the limit."""
    return shown(script("apt_idle.sh", seconds, seconds=seconds + QUICK))


def connector_arguments(host: Host) -> dict[str, Any]:
    """The connection arguments of the running operation: sudo, its password and the rest.

    pyinfra gives them to the commands that an operation yields, not to those that a function among
    them runs itself; what a command brings with it (`_stdin`) goes before them.
    """
    arguments: Any = host.current_op_global_arguments or {}
    return {key: arguments[key] for key in CONNECTOR_ARGUMENT_KEYS if key in arguments}


def refuse(noun: str, reason: str) -> None:
    """Change nothing and report why; the verification at the end fails with the same reason."""
    logger.warning(f"{host.print_prefix}{noun}: left as it is: {reason}")
    host.noop(f"{noun}: {reason}")


@cache
def _text(name: str) -> str:
    return files("gpuhost.remote").joinpath(name).read_text(encoding="utf-8")
