"""A deploy run by pyinfra's own command, in this process: same output, same exit status.

The inventory, --limit and the terminal are checked first: pyinfra reports errors in them late, or
ignores them.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from gpuhost.cli.common import streams
from gpuhost.cli.common.hosts import INVENTORY_OPTIONS, Selection, load_fleet
from gpuhost.domain.exit_status import Exit
from gpuhost.fleet.inventory import BadInventory

OWN = Path("deploys")
PACKAGED = Path(__file__).parents[2] / "deploys"


@dataclass(frozen=True)
class RunOptions(Selection):
    """Of a command that runs a deploy.

    + dry: only show what would change
    + yes: do not wait for Enter
    + verbose: how many -v, as for pyinfra
    """

    dry: bool
    yes: bool
    verbose: int


RUN_OPTIONS = (
    click.option("--dry", is_flag=True, help="Only show what would change."),
    click.option(
        "-y",
        "--yes",
        is_flag=True,
        envvar="PYINFRA_YES",
        help="Change the hosts without waiting for Enter.",
    ),
    click.option(
        "-v", "verbose", count=True, help="Show more: -v, -vv (with input), -vvv (with output)."
    ),
)
adopt_option = click.option(
    "--adopt", is_flag=True, help="Also stop, close or replace what gpuhost did not set up."
)


def with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """The argument INVENTORY and the options of a run, as the first argument of the command."""

    @wraps(command)
    def wrapper(**values: Any) -> None:
        options = RunOptions(**{name: values.pop(name) for name in RunOptions.__dataclass_fields__})
        command(options, **values)

    for add in reversed((*INVENTORY_OPTIONS, *RUN_OPTIONS)):
        wrapper = add(wrapper)
    return wrapper


def run_deploy(options: RunOptions, deploy: str, **data: str | bool) -> NoReturn:
    """Run deploys/DEPLOY.py, and end this process with pyinfra's exit status.

    + data: added to the user's own `--data`

    Raises BadInventory, and click's own errors, before any host is connected to.
    """
    # As JSON: pyinfra would read the revision 12345e7 as a number.
    own = (f"{key}={json.dumps(value)}" for key, value in data.items())
    options = replace(options, data=(*options.data, *own))
    fleet = load_fleet(options)
    for host, problem in fleet.refused.items():
        raise BadInventory(f"{host}: {problem}")
    from gpuhost.remote.controller import protect_controller
    from gpuhost.remote.no_terminal import WHAT_TO_DO, has_terminal

    if not (options.yes or options.dry or has_terminal()):
        raise click.ClickException(f"there is no terminal to confirm on: {WHAT_TO_DO}")
    import pyinfra_cli.cli  # type: ignore[import-untyped]
    import pyinfra_cli.main  # type: ignore[import-untyped]

    # Do not load it a second time: an inventory may ask a cloud for its hosts.
    pyinfra_cli.cli.make_inventory = lambda *_, **__: fleet.state.inventory
    pyinfra_cli.main.cli = _interruptible_cli
    protect_controller()
    sys.argv = ["pyinfra", options.inventory, str(deploy_file(deploy)), *_arguments(options)]
    pyinfra_cli.main.main()
    raise AssertionError("pyinfra's command ends with an exit status")


def _interruptible_cli() -> None:
    """pyinfra's command; with pyinfra's own handler, Ctrl-C would end with exit status 0."""
    import pyinfra_cli.cli

    signal.signal(signal.SIGINT, _interrupt)
    pyinfra_cli.cli.cli()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # Closed connections are no errors now.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    streams.say("interrupted")
    sys.exit(Exit.INTERRUPTED)


def deploy_file(name: str) -> Path:
    """The user's own deploys/NAME.py, else gpuhost's."""
    own = OWN / f"{name}.py"
    return own if own.is_file() else PACKAGED / own.name


def _arguments(options: RunOptions) -> list[str]:
    repeated = {
        "--limit": options.limit,
        "--exclude": options.exclude,
        "--group-data": options.group_data,
        "--data": options.data,
    }
    flags = {
        "--dry": options.dry,
        "--yes": options.yes,
        f"-{'v' * options.verbose}": options.verbose > 0,
    }
    return [
        *(f"{option}={value}" for option, values in repeated.items() for value in values),
        *(flag for flag, is_set in flags.items() if is_set),
    ]
