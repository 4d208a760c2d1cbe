"""gpuhost drift."""

from __future__ import annotations

import json
import sys

import click

from gpuhost.cli.hosts import Choosing, as_json, fleet_of, hosts_of_an_inventory
from gpuhost.drift.fleet import drift_of
from gpuhost.outputs.drift import print_drift
from gpuhost.outputs.table import console

TIMEOUT = 30
DEADLINE = 900


@click.command()
@hosts_of_an_inventory(timeout=TIMEOUT)
@as_json
@click.option(
    "--deadline",
    type=click.FloatRange(min=1),
    default=DEADLINE,
    show_default=True,
    metavar="SECONDS",
    help="The limit for all hosts together.",
)
@click.option("--pending-fails", is_flag=True, help="Exit 2 also for what only awaits a deploy.")
def drift(choosing: Choosing, as_json: bool, deadline: float, pending_fails: bool) -> None:
    """Tell what is no longer as it was applied. Nothing on the hosts is changed.

    Every check of `gpuhost check`, and for each that is not ok, why: drift (the host has changed
    since it was provisioned), pending (the repository has), or new (it was never applied). A host
    costs one connection and one command.

    \b
    gpuhost drift inventory.py
    gpuhost drift inventory.py --json | jq '.hosts[] | select(.standing == "drift")'
    gpuhost drift inventory.py --limit gpu --timeout 60

    \b
    Exit status, the first that applies:
      1  a mistake in the command line, the inventory or a host's settings; no host at all
      3  a host was not reached or not wholly read
      2  something has drifted
      0  nothing has; warnings, what is accepted (drift_ignore) and what is pending are allowed
    """
    with fleet_of(choosing) as (fleet, told):
        report = drift_of(
            fleet,
            seconds=choosing.timeout,
            deadline=deadline,
            told=told,
            pending_fails=pending_fails,
        )
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        print_drift(report, console(sys.stdout))
    sys.exit(report.exit)
