"""The `gpuhost` command."""

from __future__ import annotations

# First of all: where to print; then what prepares the standard library for many connections at
# once.
from gpuhost.cli import streams

# isort: split
import pyinfra_cli  # type: ignore[import-untyped]  # noqa: F401

# isort: split
import errno
import sys
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from typing import NoReturn

import click

from gpuhost.domain.exit_status import (
    Exit,
)
from gpuhost.fleet.inventory import BadInventory

# Each in its module.
COMMANDS = {
    "check": "check",
    "drift": "drift",
    "logs": "logs",
    "releases": "releases",
    "status": "releases",
}


class Commands(click.Group):
    """Imported when they are called: a check does not wait for what a report's page needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"gpuhost.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("gpuhost"), prog_name="gpuhost")
def cli() -> None:
    """Blank Debian and Ubuntu servers to verified GPU container hosts.

    \b
    pyinfra inventory.py deploys/gpu_host.py             sets hosts up
    pyinfra inventory.py deploys/app.py --data app=NAME  releases an app on them
    gpuhost check inventory.py                           tells how they are, and changes nothing
    gpuhost drift inventory.py                           tells what is no longer as it was applied
    gpuhost status inventory.py                          tells how their apps are
    """


def main() -> NoReturn:
    """Run the command; every mistake of the one who called it ends with exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter shows a question mark.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    try:
        sys.exit(_status())
    finally:
        streams.settle()


def _status() -> Exit:
    try:
        cli.main(standalone_mode=False)
    except BadInventory as error:
        streams.say(str(error))
        return Exit.USAGE
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        streams.say("interrupted")
        return Exit.INTERRUPTED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        streams.say(f"not all is printed: {error.strerror}")
        return Exit.USAGE
    return Exit.OK


if __name__ == "__main__":
    main()
