"""gpuhost status."""

from __future__ import annotations

import json
import sys

import click

from gpuhost.cli.completion import apps
from gpuhost.cli.hosts import Choosing, as_json, hosts_of_an_inventory, showing
from gpuhost.cli.releases import read
from gpuhost.outputs.releases import print_status
from gpuhost.outputs.table import console


@click.command()
@hosts_of_an_inventory()
@click.option("--app", metavar="NAME", shell_complete=apps, help="Only this app.")
@as_json
def status(choosing: Choosing, app: str | None, as_json: bool) -> None:
    """Show the apps on the hosts of INVENTORY. Changes nothing.

    Shows the current release and since when, its containers, what is in progress, and what failed
    last. An app is running if its last verified release is current, and none of its containers is
    down, unhealthy or still starting.

    \b
    gpuhost status inventory.py
    gpuhost status inventory.py --app tts --json | jq '.hosts[].apps[] | select(.ok | not)'

    \b
    Exit status, the first that applies:
      1  an error in the command line, the inventory or a host's settings; no host has the app
      3  a host could not be reached or read
      2  an app is not running
      0  every app is running
    """
    fleet_apps = read(choosing, app)
    with showing():
        if as_json:
            click.echo(json.dumps(fleet_apps.status_json(), indent=2))
        else:
            print_status(fleet_apps, console(sys.stdout))
    sys.exit(fleet_apps.exit(fail_if_down=True))
