"""gpuhost drift."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

import click

from gpuhost.cli.drift_outputs import Delivered, Outputs, with_outputs
from gpuhost.cli.hosts import Choosing, as_json, fleet_of, hosts_of_an_inventory, showing
from gpuhost.domain.exit_status import (
    Exit,
)
from gpuhost.drift.fleet import drift_of
from gpuhost.drift.report import DriftReport
from gpuhost.drift.since import Since
from gpuhost.outputs.drift import print_drift, print_since
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
@with_outputs
def drift(
    choosing: Choosing, as_json: bool, deadline: float, pending_fails: bool, outputs: Outputs
) -> None:
    """Tell what is no longer as it was applied. Nothing on the hosts is changed.

    Every check of `gpuhost check`, and for each that is not ok, why: drift (the host has changed
    since it was provisioned), pending (the repository has), or new (it was never applied). A host
    costs one connection and one command.

    \b
    gpuhost drift inventory.py
    gpuhost drift inventory.py --json | jq '.hosts[] | select(.standing == "drift")'
    gpuhost drift inventory.py --limit gpu --timeout 60
    gpuhost drift inventory.py --html drift.html
    gpuhost drift inventory.py --metrics /var/lib/node_exporter/gpuhost.prom
    gpuhost drift inventory.py --history runs --since last
    GPUHOST_NOTIFY=slack://… gpuhost drift inventory.py --history runs

    \b
    Exit status, the first that applies:
      1  a mistake in the command line, the inventory or a host's settings; no host at all; a file
         that could not be written
      3  a host was not reached or not wholly read
      2  something has drifted
      0  nothing has; warnings, what is accepted (drift_ignore) and what is pending are allowed
    """
    with fleet_of(choosing) as (fleet, told):
        began = time.monotonic()
        report = drift_of(
            fleet,
            seconds=choosing.timeout,
            deadline=deadline,
            told=told,
            pending_fails=pending_fails,
            disks=outputs.disks(int(time.time())),
        )
        took = time.monotonic() - began
    # First of all: whoever reads the report may take their time, or not read it to its end.
    try:
        delivered = outputs.deliver(report, took, fleet.names)
    except KeyboardInterrupt:
        report, delivered = replace(report, interrupted=True), Delivered(None, written=False)
    with showing():
        _show(report, delivered.changes if outputs.since else None, as_json)
    sys.exit(report.exit if delivered.written or report.interrupted else Exit.USAGE)


def _show(report: DriftReport, changes: Since | None, as_json: bool) -> None:
    if as_json:
        since = {"since": changes.to_json()} if changes else {}
        click.echo(json.dumps({**report.to_json(), **since}, indent=2, ensure_ascii=False))
        return
    out = console(sys.stdout)
    if changes:
        print_since(changes, out)
    print_drift(report, out)
