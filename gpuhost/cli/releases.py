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
    """List an app's releases on the hosts of INVENTORY, newest first. Nothing is changed.

    What was released, when, by whom, from which revision, and what became of it; * marks the
    release that is in place. Rollbacks are releases too.

    \b
    gpuhost releases inventory.py --app tts
    gpuhost releases inventory.py --app tts --json | jq '.hosts[].releases[] | select(.current)'

    \b
    Exit status, the first that applies:
      1  a mistake in the command line, the inventory or a host's settings; no host has the app
      3  a host was not reached or not read
      0  the list is whole
    """
    found = read(choosing, app)
    with showing():
        if as_json:
            click.echo(json.dumps(found.releases_json(), indent=2))
        else:
            print_releases(found, console(sys.stdout))
    sys.exit(found.exit(judged=False))


def read(choosing: Choosing, app: str | None) -> FleetApps:
    """The apps of every host; app: only this one."""
    with fleet_of(choosing) as (fleet, told):
        found = read_apps(fleet, app, choosing.timeout, told)
    if found.missing:
        say(found.missing)
    return found
