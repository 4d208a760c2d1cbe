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
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import NoReturn

import click

from gpuhost.domain.exit_status import (
    Exit,
)
from gpuhost.fleet.inventory import BadInventory


class Commands(click.Group):
    """A verb is a module of this package with a command of its own name.

    Only the one that is called is imported: a check does not wait for what a report's page needs.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        # Imports them all, which `--help` needs anyway: it shows a line of each.
        modules = sorted(module.name for module in iter_modules(__path__))
        return [name for name in modules if self.get_command(ctx, name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = f"{__name__}.{cmd_name}"
        if not cmd_name.isidentifier() or cmd_name.startswith("_") or find_spec(module) is None:
            return None
        command = getattr(import_module(module), cmd_name, None)
        return command if isinstance(command, click.Command) else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("gpuhost"), prog_name="gpuhost")
def cli() -> None:
    """Blank Debian and Ubuntu servers to verified GPU container hosts.

    \b
    gpuhost init hosts                     a repository for your servers and apps
    gpuhost provision inventory.py --dry   what would be changed on them
    gpuhost provision inventory.py         change it
    gpuhost deploy inventory.py APP        release an app on them
    gpuhost check inventory.py             how they are; changes nothing
    gpuhost drift inventory.py             what has changed since; changes nothing
    gpuhost status inventory.py            how their apps are; changes nothing

    provision, deploy, rollback, restore and remove run pyinfra with the files of deploys/:
    `pyinfra inventory.py deploys/gpu_host.py` does the same.

    \b
    Completion of verbs, options, apps and files, switched on in your shell's start-up file:
      bash   eval "$(_GPUHOST_COMPLETE=bash_source gpuhost)"
      zsh    eval "$(_GPUHOST_COMPLETE=zsh_source gpuhost)"
      fish   _GPUHOST_COMPLETE=fish_source gpuhost | source
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
