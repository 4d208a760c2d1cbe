"""Commands as they are sent to a host: every argument quoted, every command with a time limit."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from importlib.resources import files
from typing import Any

from paramiko import SSHException
from pyinfra.api import Host, QuoteString, State, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, ConnectorArguments
from pyinfra.connectors.util import CommandOutput, OutputLine

QUICK = 30
# If no answer arrives this long after a command's own limit, the connection is lost.
ROUND_TRIP_SECONDS = 30
INSERTED = re.compile(r"^@([a-z_]+\.(?:sh|py))@$", re.MULTILINE)
PUT = (
    'set -e; umask 022; mkdir -p "$(dirname "$1")"; umask 077; '
    'cat >"$1.gpuhost-new"; chmod "$2" "$1.gpuhost-new"; mv -f "$1.gpuhost-new" "$1"'
)


def run(*words: str | int | float, seconds: int = QUICK) -> StringCommand:
    """One program with its arguments.

    + seconds: its time limit
    """
    return _limited(seconds, *_quoted(words))


def docker(*words: str, seconds: int = QUICK) -> StringCommand:
    """A command of docker, which asks the host's own engine."""
    return run("sh", "-c", f'{own_engine()}; exec docker "$@"', "sh", *words, seconds=seconds)


def own_engine() -> str:
    """The line of own_engine.sh."""
    return script_text("own_engine.sh").splitlines()[-1]


def script(name: str, *arguments: str | int, seconds: int) -> StringCommand:
    """One of the scripts in gpuhost/remote, sent on stdin, with its arguments."""
    return _limited(seconds, "sh", "-s", "--", *_quoted(arguments), stdin=script_text(name))


def inline_script(name: str, *arguments: str | int, seconds: int) -> StringCommand:
    """A script as an argument, for one that reads what is sent on stdin."""
    text = QuoteString(_on_one_line(script_text(name)))
    return _limited(seconds, "sh", "-c", text, "sh", *_quoted(arguments))


def _on_one_line(text: str) -> str:
    """A script without ends of lines and `!`: csh, if it is the login shell, takes no others as an
    argument.
    """
    return f'eval "$(echo {b64encode(text.encode()).decode()} | base64 -d)"'


def put(path: str, content: str, *, mode: str = "0644") -> StringCommand:
    """Write a whole file beside its place and rename it: it is never incomplete, and never readable
    by more users than `mode` allows.

    The content is sent on stdin: no log, plan, argument list or journal shows it.
    """
    arguments = _quoted((path, mode))
    return _limited(QUICK, "sh", "-c", QuoteString(PUT), "sh", *arguments, stdin=content)


def remove(*paths: str) -> StringCommand:
    """Delete files; a file that does not exist is no error."""
    return run("rm", "-f", "--", *paths)


class WithOutput(StringCommand):
    """A command whose output is shown while it runs, with or without `-v`: for one that waits."""

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> Any:
        connector_arguments.update(self.connector_arguments)
        return host.run_shell_command(
            self, print_output=True, print_input=state.print_input, **connector_arguments
        )


def with_output(command: StringCommand) -> WithOutput:
    """The same command, its output shown while it runs."""
    return WithOutput(*command.bits, **command.connector_arguments)


def connector_arguments(host: Host) -> dict[str, Any]:
    """How the running operation reaches the host: sudo with its password, environment, and so on.

    pyinfra passes them to the commands that an operation yields, but not to those that a function
    among these commands runs. A command's own arguments (`_stdin`) take precedence.
    """
    arguments: Any = host.current_op_global_arguments or {}
    return {key: arguments[key] for key in CONNECTOR_ARGUMENT_KEYS if key in arguments}


def run_on(host: Host, command: StringCommand, **more: Any) -> tuple[bool, CommandOutput]:
    """Run a command in a function among an operation's commands. A broken connection is a failure,
    with the reason as its error output: an exception would be shown with a traceback.

    + more: arguments that take precedence
    """
    arguments = {**connector_arguments(host), **command.connector_arguments, **more}
    try:
        return host.run_shell_command(command, **arguments)
    except (SSHException, EOFError, OSError) as error:
        return False, CommandOutput([OutputLine("stderr", str(error) or "the connection was lost")])


def last_line(output: CommandOutput) -> str:
    """An answer of one line, without what the login shell printed before it: bash reads ~/.bashrc
    also for one command. "": none. A greeting may not end its line: such a command does it first.
    """
    return output.stdout_lines[-1] if output.stdout_lines else ""


@cache
def script_text(name: str) -> str:
    """The text of a file in gpuhost/remote; a line @NAME@ in it stands for another of them."""
    return insert_files(files("gpuhost.remote").joinpath(name).read_text(encoding="utf-8"))


def insert_files(text: str) -> str:
    """The files of gpuhost/remote for the lines of a script that stand for them."""
    return INSERTED.sub(lambda line: script_text(line[1]).rstrip(), text)


def _limited(seconds: int, *bits: str | QuoteString, stdin: str | None = None) -> StringCommand:
    """The host ends it; if the host does not answer, this side does."""
    connector: dict[str, Any] = {"_timeout": seconds + ROUND_TRIP_SECONDS}
    if stdin is not None:
        connector["_stdin"] = stdin
    return StringCommand("LC_ALL=C", "timeout", "-k", "5", str(seconds), *bits, **connector)


def _quoted(words: tuple[str | int | float, ...]) -> list[QuoteString]:
    return [QuoteString(str(word)) for word in words]
