"""gpuhost remove."""

from __future__ import annotations

from collections.abc import Sequence

import click

from gpuhost.cli.apps import require_name
from gpuhost.cli.completion import APP, removables
from gpuhost.cli.pyinfra_run import Run, on_hosts, run_deploy


@click.command()
@on_hosts
@click.argument("what", nargs=-1, required=True, shell_complete=removables)
def remove(run: Run, what: tuple[str, ...]) -> None:
    """Remove WHAT gpuhost has set up on the hosts of INVENTORY. Data stays.

    WHAT is a noun such as swap, firewall or docker (an unknown one prints the list), or app:NAME
    for an app with its containers and images. It runs deploys/remove.py of this directory, or else
    gpuhost's own.

    \b
    gpuhost remove inventory.py swap firewall --limit gpu1 --dry
    gpuhost remove inventory.py app:tts -y

    \b
    Exit status:
      1  a host failed; an unknown WHAT; a mistake in the command line or the inventory; no terminal
         and neither -y nor --dry
      0  it is gone on every host
    """
    apps = [word.removeprefix(APP) for word in what if word.startswith(APP)]
    nouns = [word for word in what if not word.startswith(APP)]
    _require_nouns(nouns)
    if len(apps) > 1:
        raise click.ClickException(f"one app at a time: {' and '.join(apps)} need a run each")
    for app in apps:
        require_name(app)
    names = ",".join([*nouns, *(["app"] if apps else [])])
    run_deploy(run, "remove", remove=names, **({"app": apps[0]} if apps else {}))


def _require_nouns(nouns: Sequence[str]) -> None:
    from gpuhost.host.removal import removable

    known = [name for name in removable() if name != "app"]
    if unknown := [noun for noun in nouns if noun not in known]:
        raise click.ClickException(
            f"cannot remove {', '.join(unknown)}: known are {', '.join(known)} and {APP}NAME"
        )
