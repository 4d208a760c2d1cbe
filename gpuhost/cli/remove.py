"""gpuhost remove."""

from __future__ import annotations

from collections.abc import Sequence

import click

from gpuhost.cli.apps import require_name
from gpuhost.cli.completion import apps, nouns
from gpuhost.cli.pyinfra_run import Run, on_hosts, run_deploy


@click.command()
@on_hosts
@click.argument("what", nargs=-1, shell_complete=nouns)
@click.option("--app", metavar="NAME", shell_complete=apps, help="Remove this app.")
def remove(run: Run, what: tuple[str, ...], app: str | None) -> None:
    """Remove WHAT gpuhost has set up on the hosts of INVENTORY. Data stays.

    WHAT is one or more of swap, firewall, docker and so on; an unknown one prints the list. --app
    removes an app with its containers and images. It runs deploys/remove.py of this directory, or
    else gpuhost's own.

    \b
    gpuhost remove inventory.py swap firewall --limit gpu1 --dry
    gpuhost remove inventory.py --app tts -y

    \b
    Exit status:
      1  a host failed; an unknown WHAT; a mistake in the command line or the inventory; no terminal
         and neither -y nor --dry
      0  it is gone on every host
    """
    _require_nouns(what, app)
    if app is None:
        run_deploy(run, "remove", remove=",".join(what))
    require_name(app)
    run_deploy(run, "remove", remove=",".join([*what, "app"]), app=app)


def _require_nouns(what: Sequence[str], app: str | None) -> None:
    known = nouns()
    unknown = [noun for noun in what if noun not in known]
    if unknown or not (what or app):
        problem = f"cannot remove {', '.join(unknown)}" if unknown else "nothing to remove"
        raise click.ClickException(f"{problem}: name {', '.join(known)}, or --app NAME")
