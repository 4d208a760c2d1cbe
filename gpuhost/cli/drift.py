"""gpuhost drift."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

import click

from gpuhost.cli.common.drift_outputs import Delivered, Outputs, with_outputs
from gpuhost.cli.common.hosts import (
    ReadOptions,
    Seconds,
    json_option,
    open_fleet,
    report_output,
    with_read_options,
)
from gpuhost.domain.exit_status import Exit
from gpuhost.drift.fleet import check_drift
from gpuhost.drift.report import DriftReport
from gpuhost.drift.since import Changes
from gpuhost.fleet.interruption import interruption_reaches_this_greenlet
from gpuhost.outputs.json_text import json_text

TIMEOUT = 30
DEADLINE = 900


@click.command()
@with_read_options(timeout=TIMEOUT)
@json_option
@click.option(
    "--deadline",
    type=Seconds(min=1),
    default=DEADLINE,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for all hosts together.",
)
@click.option(
    "--pending-fails",
    is_flag=True,
    help="Exit status 2 also for findings that are pending or never applied.",
)
@with_outputs
def drift(
    options: ReadOptions, as_json: bool, deadline: float, pending_fails: bool, outputs: Outputs
) -> None:
    """Show what has changed since the hosts were provisioned. Changes nothing on the hosts.

    Runs every check of `gpuhost check`, and shows the cause of each that is not ok: drift (the host
    has changed since it was provisioned), pending (the repository has changed), or never applied.
    One connection and one command per host.

    \b
    gpuhost drift inventory.py
    gpuhost drift inventory.py --json | jq '.hosts[] | select(.status == "drift")'
    gpuhost drift inventory.py --limit gpu --timeout 60
    gpuhost drift inventory.py --html drift.html
    gpuhost drift inventory.py --metrics /var/lib/node_exporter/gpuhost.prom
    gpuhost drift inventory.py --history runs --since last
    GPUHOST_NOTIFY=slack://… gpuhost drift inventory.py --history runs

    \b
    Exit status, the first that applies:
      130  Ctrl-C; the results so far are printed
      1    an error in the command line, the inventory or a host's settings; no host; a file that
           could not be written
      3    a host could not be reached, or part of it could not be read, and `drift_ignore` does
           not accept it
      2    a host has drifted
      0    no host has drifted; warnings, pending and accepted findings (drift_ignore) are allowed
    """
    with open_fleet(options) as (fleet, on_done):
        started = time.monotonic()
        report = check_drift(
            fleet,
            seconds=options.timeout,
            deadline=deadline,
            on_done=on_done,
            pending_fails=pending_fails,
            disks=outputs.disks(int(time.time())),
        )
        took = time.monotonic() - started
    # Before the report is printed, because its reader may be slow or stop early.
    try:
        with interruption_reaches_this_greenlet():
            delivered = outputs.deliver(report, took, fleet.names)
    except KeyboardInterrupt:
        report, delivered = replace(report, interrupted=True), Delivered(None, written=False)
    with report_output():
        _show(report, delivered.changes if outputs.since else None, as_json)
    sys.exit(report.exit if delivered.written or report.interrupted else Exit.USAGE)


def _show(report: DriftReport, changes: Changes | None, as_json: bool) -> None:
    if as_json:
        click.echo(json_text(document(report, changes)))
        return
    # Hosts do not wait for rich, which JSON does not need.
    from gpuhost.outputs.drift import print_changes, print_drift
    from gpuhost.outputs.table import console

    out = console(sys.stdout)
    if changes:
        print_changes(changes, out)
    print_drift(report, out)


def document(report: DriftReport, changes: Changes | None) -> dict[str, Any]:
    """The JSON of the command. changes: since the last run; None: without --since."""
    return report.to_json() | ({"since": changes.to_json()} if changes else {})
