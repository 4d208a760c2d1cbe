"""gpuhost releases."""

from __future__ import annotations

import json
import sys

import click

from gpuhost.cli.completion import apps
from gpuhost.cli.hosts import Choosing, as_json, fleet_of, hosts_of_an_inventory, showing
from gpuhost.cli.streams import say
from gpuhost.fleet.releases import FleetApps, read_apps
from gpuhost.outputs.releases import print_releases
from gpuhost.outputs.table import console


@click.command()
@hosts_of_an_inventory()
@click.option("--app", required=True, metavar="NAME", shell_complete=apps, help="The app.")
@as_json
def releases(choosing: Choosing, app: str, as_json: bool) -> None:
    """List an app's releases on the hosts of INVENTORY, newest first. Changes nothing.

    Shows what was released, when, by whom, from which revision, and with what result; * marks the
    current release. Rollbacks are releases too.

    \b
    gpuhost releases inventory.py --app tts
    gpuhost releases inventory.py --app tts --json | jq '.hosts[].releases[] | select(.current)'

    \b
    Exit status, the first that applies:
      1  an error in the command line, the inventory or a host's settings; no host has the app
      3  a host could not be reached or read
      0  the list is complete
    """
    fleet_apps = read(choosing, app)
    with showing():
        if as_json:
            click.echo(json.dumps(fleet_apps.releases_json(), indent=2))
        else:
            print_releases(fleet_apps, console(sys.stdout))
    sys.exit(fleet_apps.exit(fail_if_down=False))


def read(choosing: Choosing, app: str | None) -> FleetApps:
    """The apps of every host; app: only this one."""
    with fleet_of(choosing) as (fleet, on_done):
        fleet_apps = read_apps(fleet, app, choosing.timeout, on_done)
    if fleet_apps.missing:
        say(fleet_apps.missing)
    return fleet_apps
