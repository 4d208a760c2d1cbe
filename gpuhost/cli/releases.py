"""gpuhost releases."""

from __future__ import annotations

import sys

import click

from gpuhost.cli.common.completion import apps
from gpuhost.cli.common.hosts import (
    ReadOptions,
    json_option,
    open_fleet,
    report_output,
    with_read_options,
)
from gpuhost.cli.common.streams import say
from gpuhost.fleet.releases import FleetApps, read_apps
from gpuhost.outputs.json_text import json_text


@click.command()
@with_read_options()
@click.option("--app", required=True, metavar="NAME", shell_complete=apps, help="The app.")
@json_option
def releases(options: ReadOptions, app: str, as_json: bool) -> None:
    """List an app's releases, newest first. Changes nothing on the hosts.

    Shows for each release when and by whom it was started, its revision and its result; * marks the
    current release. A rollback is a release too.

    \b
    gpuhost releases inventory.py --app tts
    gpuhost releases inventory.py --app tts --json | jq '.hosts[].releases[] | select(.current)'

    \b
    Exit status, the first that applies:
      130  Ctrl-C; the results so far are printed
      1    an error in the command line, the inventory or a host's settings; no host has the app
      3    a host could not be reached or read
      0    the list is complete
    """
    fleet_apps = read(options, app)
    with report_output():
        if as_json:
            click.echo(json_text(fleet_apps.releases_json()))
        else:
            # Hosts do not wait for rich, which JSON does not need.
            from gpuhost.outputs.releases import print_releases
            from gpuhost.outputs.table import console

            print_releases(fleet_apps, console(sys.stdout))
    sys.exit(fleet_apps.exit(fail_if_down=False))


def read(options: ReadOptions, app: str | None) -> FleetApps:
    """The apps of every host; app: only this one."""
    with open_fleet(options) as (fleet, on_done):
        fleet_apps = read_apps(fleet, app, options.timeout, on_done)
    if fleet_apps.missing:
        say(fleet_apps.missing)
    return fleet_apps
