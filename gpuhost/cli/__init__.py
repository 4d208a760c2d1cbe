"""The `gpuhost` command."""

from __future__ import annotations

# First of all: it prepares the standard library for many connections at once.
import pyinfra_cli  # type: ignore[import-untyped]  # noqa: F401

# isort: split
import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import NoReturn

import click

from gpuhost.fleet.inventory import BadInventory
from gpuhost.fleet.report import Exit

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
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as finished:
        sys.exit(finished.exit_code)
    except BadInventory as error:
        click.echo(f"gpuhost: {error}", err=True)
        sys.exit(Exit.USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        click.echo("gpuhost: interrupted", err=True)
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # `gpuhost … | head` has seen enough; nothing is left to be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(Exit.OK)


if __name__ == "__main__":
    main()
