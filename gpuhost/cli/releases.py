"""gpuhost releases and gpuhost status."""

from __future__ import annotations

import json
import sys

import click

from gpuhost.cli.hosts import Choosing, as_json, fleet_of, hosts_of_an_inventory, showing
from gpuhost.cli.streams import say
from gpuhost.fleet.releases import FleetApps, read_apps
from gpuhost.outputs.releases import print_releases, print_status
from gpuhost.outputs.table import console


@click.command()
@hosts_of_an_inventory()
@click.option("--app", required=True, metavar="NAME", help="The app.")
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
    apps = _read(choosing, app)
    with showing():
        if as_json:
            click.echo(json.dumps(apps.releases_json(), indent=2))
        else:
            print_releases(apps, console(sys.stdout))
    sys.exit(apps.exit(fail_if_down=False))


@click.command()
@hosts_of_an_inventory()
@click.option("--app", metavar="NAME", help="Only this app.")
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
    apps = _read(choosing, app)
    with showing():
        if as_json:
            click.echo(json.dumps(apps.status_json(), indent=2))
        else:
            print_status(apps, console(sys.stdout))
    sys.exit(apps.exit(fail_if_down=True))


def _read(choosing: Choosing, app: str | None) -> FleetApps:
    with fleet_of(choosing) as (fleet, on_done):
        apps = read_apps(fleet, app, choosing.timeout, on_done)
    if apps.missing:
        say(apps.missing)
    return apps
