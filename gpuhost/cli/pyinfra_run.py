"""A deploy run by pyinfra's own command, in this process: same output, same exit status.

What pyinfra would find out late or pass over is checked before: the inventory, --limit, and whether
there is somebody to confirm.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from gpuhost.cli.hosts import OPTIONS, Selection, load_fleet
from gpuhost.fleet.inventory import BadInventory

OWN = Path("deploys")
PACKAGED = Path(__file__).parents[1] / "deploys"


@dataclass(frozen=True)
class Run(Selection):
    """Which hosts, and how the run goes.

    + dry: only say what would change
    + yes: do not wait for Enter
    + verbose: as pyinfra counts -v
    """

    dry: bool
    yes: bool
    verbose: int


OF_A_RUN = (
    click.option("--dry", is_flag=True, help="Only show what would change."),
    click.option(
        "-y", "--yes", is_flag=True, envvar="PYINFRA_YES", help="Do not wait for Enter before it."
    ),
    click.option("-v", "verbose", count=True, help="Show more: -v, -vv (input), -vvv (output)."),
)
adopt = click.option(
    "--adopt", is_flag=True, help="Allow it to stop, close or replace what a used host has."
)


def on_hosts(command: Callable[..., None]) -> Callable[..., None]:
    """The argument INVENTORY and the options of a run; the command gets them first, as a Run."""

    @wraps(command)
    def called(**given: Any) -> None:
        run = Run(**{name: given.pop(name) for name in Run.__dataclass_fields__})
        command(run, **given)

    for decorate in reversed((*OPTIONS, *OF_A_RUN)):
        called = decorate(called)
    return called


def run_deploy(run: Run, deploy: str, **data: str | bool) -> NoReturn:
    """Run deploys/DEPLOY.py, and end this process with pyinfra's exit status.

    + data: what the deploy takes as `--data`

    Raises BadInventory, and click's own errors, before any host is connected to.
    """
    # As JSON: pyinfra would take the revision 12345e7 for a number.
    own = (f"{key}={json.dumps(value)}" for key, value in data.items())
    run = replace(run, data=(*run.data, *own))
    fleet = load_fleet(run)
    for host, mistake in fleet.refused.items():
        raise BadInventory(f"{host}: {mistake}")
    from gpuhost.steps.no_terminal import WHAT_TO_DO, has_terminal, never_ask_without_terminal

    if not (run.yes or run.dry or has_terminal()):
        raise click.ClickException(f"there is no terminal to confirm on: {WHAT_TO_DO}")
    import pyinfra_cli.cli  # type: ignore[import-untyped]
    import pyinfra_cli.main  # type: ignore[import-untyped]

    # As it was loaded just now: an inventory may ask a cloud for its hosts.
    pyinfra_cli.cli.make_inventory = lambda *_, **__: fleet.state.inventory
    never_ask_without_terminal()
    sys.argv = ["pyinfra", run.inventory, str(deploy_file(deploy)), *_options(run)]
    pyinfra_cli.main.main()
    raise AssertionError("pyinfra's command ends with an exit status")


def deploy_file(name: str) -> Path:
    """The user's own deploys/NAME.py, else the one that gpuhost brings."""
    own = OWN / f"{name}.py"
    return own if own.is_file() else PACKAGED / own.name


def _options(run: Run) -> list[str]:
    repeated = {
        "--limit": run.limit,
        "--exclude": run.exclude,
        "--group-data": run.group_data,
        "--data": run.data,
    }
    flags = {"--dry": run.dry, "--yes": run.yes, f"-{'v' * run.verbose}": run.verbose > 0}
    return [
        *(f"{option}={value}" for option, values in repeated.items() for value in values),
        *(flag for flag, is_set in flags.items() if is_set),
    ]
