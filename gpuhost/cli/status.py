"""gpuhost status."""

from __future__ import annotations

import sys

import click

from gpuhost.cli.common.completion import apps
from gpuhost.cli.common.hosts import ReadOptions, json_option, report_output, with_read_options
from gpuhost.cli.releases import read
from gpuhost.outputs.json_text import json_text


@click.command()
@with_read_options()
@click.option("--app", metavar="NAME", shell_complete=apps, help="Only this app.")
@json_option
def status(options: ReadOptions, app: str | None, as_json: bool) -> None:
    """Show the apps on the hosts. Changes nothing on the hosts.

    Shows each app's state, current release and containers, the release in progress, and the last
    release if it failed. An app is running if its last verified release is current, and none of its
    containers is down, unhealthy or still starting.

    \b
    gpuhost status inventory.py
    gpuhost status inventory.py --app tts --json | jq '.hosts[].apps[] | select(.ok | not)'

    \b
    Exit status, the first that applies:
      130  Ctrl-C; the results so far are printed
      1    an error in the command line, the inventory or a host's settings; no host has the app
      3    a host could not be reached or read
      2    an app is not running
      0    every app is running
    """
    fleet_apps = read(options, app)
    with report_output():
        if as_json:
            click.echo(json_text(fleet_apps.status_json()))
        else:
            # Hosts do not wait for rich, which JSON does not need.
            from gpuhost.outputs.releases import print_status
            from gpuhost.outputs.table import console

            print_status(fleet_apps, console(sys.stdout))
    sys.exit(fleet_apps.exit(fail_if_down=True))
