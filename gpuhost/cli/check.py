"""gpuhost check."""

from __future__ import annotations

import sys

import click

from gpuhost.cli.common.hosts import (
    ReadOptions,
    json_option,
    open_fleet,
    report_output,
    with_read_options,
)
from gpuhost.fleet.check import check_fleet
from gpuhost.outputs.json_text import json_text


@click.command()
@with_read_options()
@json_option
@click.option("--all", "show_all", is_flag=True, help="Show every check, also those that are ok.")
def check(options: ReadOptions, as_json: bool, show_all: bool) -> None:
    """Check hosts against their settings. Changes nothing on the hosts.

    Shows what is not ok, worst first, and the counts. INVENTORY is an inventory file, host names
    separated by commas, or @local for this machine. One connection and one command per host.

    \b
    gpuhost check inventory.py
    gpuhost check inventory.py --all
    gpuhost check inventory.py --limit gpu --limit 'web*'
    gpuhost check inventory.py --json | jq '.hosts[] | select(.status != "ok")'
    gpuhost check 203.0.113.10 --data ssh_user=root --data cuda='"12.1"'
    gpuhost check @local

    \b
    Exit status, the first that applies:
      130  Ctrl-C; the results so far are printed
      1    an error in the command line, the inventory or a host's settings; no host
      3    a host could not be reached, or part of it could not be read
      2    a check fails
      0    every check is ok; warnings are allowed
    """
    with open_fleet(options) as (fleet, on_done):
        report = check_fleet(fleet, options.timeout, on_done)
    with report_output():
        if as_json:
            click.echo(json_text(report.to_json()))
        else:
            # Hosts do not wait for rich, which JSON does not need.
            from gpuhost.outputs.fleet import print_report
            from gpuhost.outputs.table import console

            print_report(report, console(sys.stdout), show_all=show_all)
    sys.exit(report.exit)
