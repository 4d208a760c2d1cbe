"""gpuhost remove."""

from __future__ import annotations

from collections.abc import Sequence

import click

from gpuhost.cli.common.apps import require_name
from gpuhost.cli.common.completion import apps, nouns
from gpuhost.cli.common.pyinfra_run import RunOptions, run_deploy, with_run_options


@click.command()
@with_run_options
@click.argument("what", nargs=-1, shell_complete=nouns)
@click.option("--app", metavar="NAME", shell_complete=apps, help="Remove this app.")
def remove(options: RunOptions, what: tuple[str, ...], app: str | None) -> None:
    """Remove what gpuhost has set up. Data is kept.

    WHAT is one or more of apt, build, docker, drift, firewall, nvidia, proxy, swap, system,
    toolkit. --app removes an app with its containers and images. Runs deploys/remove.py of the
    current directory, else gpuhost's own.

    \b
    gpuhost remove inventory.py swap firewall --limit gpu1 --dry
    gpuhost remove inventory.py --app tts -y

    \b
    Exit status:
      130  Ctrl-C
      1    a host failed; an unknown WHAT; an error in the command line or the inventory; no
           terminal and neither -y nor --dry
      0    it is removed on every host
    """
    _require_nouns(what, app)
    if app is None:
        run_deploy(options, "remove", remove=",".join(what))
    require_name(app)
    run_deploy(options, "remove", remove=",".join([*what, "app"]), app=app)


def _require_nouns(what: Sequence[str], app: str | None) -> None:
    known = nouns()
    unknown = [noun for noun in what if noun not in known]
    if unknown or not (what or app):
        problem = f"cannot remove {', '.join(unknown)}" if unknown else "nothing to remove"
        raise click.ClickException(f"{problem}: give {', '.join(known)} or --app NAME")
