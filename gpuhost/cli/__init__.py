"""The `gpuhost` command."""

from __future__ import annotations

from gpuhost.cli.common import startup

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

from gpuhost.cli.common import streams
from gpuhost.domain.exit_status import Exit
from gpuhost.fleet.inventory import BadInventory


class Commands(click.Group):
    """A verb is a module of this package with a command of its own name; `common` has no verb.

    Only the module of the verb that is called is imported, so that commands start fast.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        # Imports all modules; `--help` needs them anyway, for a line of each.
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
    """Turn blank Debian and Ubuntu servers into verified GPU container hosts.

    \b
    gpuhost init hosts                     write a repository for your servers and apps
    gpuhost check inventory.py             check the servers; changes nothing
    gpuhost provision inventory.py --dry   show what would change
    gpuhost provision inventory.py         change it
    gpuhost deploy inventory.py APP        release an app
    gpuhost status inventory.py            show the apps; changes nothing
    gpuhost drift inventory.py             show what has changed since the last deploy

    provision, deploy, rollback, restore, abort and remove run pyinfra with the files of deploys/:
    `pyinfra inventory.py deploys/gpu_host.py` does the same.

    \b
    To complete commands, options, apps and files, add to your shell's start-up file:
      bash   eval "$(_GPUHOST_COMPLETE=bash_source gpuhost)"
      zsh    eval "$(_GPUHOST_COMPLETE=zsh_source gpuhost)"
      fish   _GPUHOST_COMPLETE=fish_source gpuhost | source
    """
    # The verb's module is imported.
    startup.is_over()


def main() -> NoReturn:
    """Run the command; an error in its arguments or the inventory ends with exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show becomes a question mark.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    try:
        sys.exit(_status())
    finally:
        streams.flush_all()


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
        streams.say(f"the output is incomplete: {error.strerror}")
        return Exit.USAGE
    return Exit.OK


if __name__ == "__main__":
    main()
