"""gpuhost logs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping

import click
from pyinfra.api.host import Host

from gpuhost.cli.completion import apps
from gpuhost.cli.hosts import Choosing, fleet_of, hosts_of_an_inventory, showing
from gpuhost.domain.exit_status import Exit
from gpuhost.domain.plain_text import plain
from gpuhost.fleet.host_pool import HostError, HostResults, on_each_host, with_host
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.logs import NoLog, Target, find_log, stream_log
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# Colours and cursor movements in the output of tools.
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


@click.command()
@hosts_of_an_inventory()
@click.option("--app", required=True, metavar="NAME", shell_complete=apps, help="The app.")
@click.option(
    "--release",
    metavar="ID",
    help="A release from `gpuhost releases`, or the backup of a restore.",
)
@click.option("--follow", "-f", is_flag=True, help="Follow the log until the release has ended.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON object for each line: host, app, release, line.",
)
def logs(choosing: Choosing, app: str, release: str | None, follow: bool, as_json: bool) -> None:
    """Show the log of a release or a restore: the one in progress, else the newest release.

    --follow continues until the release has ended, and reconnects for ten minutes if the connection
    is lost. Ctrl-C detaches; the release continues on the host. With several hosts each line begins
    with its host.

    \b
    gpuhost logs inventory.py --app tts --follow
    gpuhost logs inventory.py --limit gpu1 --app tts --release 20261122-010203-aabbccdd
    gpuhost logs inventory.py --app tts --json | jq -r 'select(.line | test("error")) | .host'

    \b
    Exit status, the first that applies:
      130  Ctrl-C
      1    an error in the command line, the inventory or a host's settings; no host has the release
      3    a host could not be reached or read
      0    the log was shown, whatever the result of its release
    """

    def find(snapshot: Snapshot, settings: Settings) -> Target | NoLog:
        return find_log(snapshot, app, release)

    def find_on(host: Host) -> Target | NoLog | HostError:
        return with_host(fleet, host, choosing.timeout, find)

    with fleet_of(choosing) as (fleet, on_done):
        targets: Targets = on_each_host(fleet, find_on, on_done)
    shown = targets
    with showing():
        shown = _show(fleet, targets, follow, as_json)
    _print_problems(shown.by_host)
    if shown.interrupted:
        click.echo("gpuhost: interrupted; a release in progress continues on the host", err=True)
    sys.exit(_exit(shown))


Targets = HostResults[Target | NoLog]


def _show(fleet: Fleet, targets: Targets, follow: bool, as_json: bool) -> Targets:
    """Show the logs. Returns the targets, with the errors in place of those that failed."""
    if targets.interrupted:
        return targets
    several = sum(isinstance(one, Target) for one in targets.by_host.values()) > 1

    def show(host: Host) -> Target | NoLog | HostError:
        target = targets.by_host[host.name]
        if not isinstance(target, Target):
            return target
        notify = _notifier(host.name)
        if target.under_way and not follow:
            notify("in progress; --follow follows it")
        lead = f"{host.name} | " if several else ""
        write = _json_writer(host.name, target) if as_json else _writer(lead)
        return stream_log(host, target, follow=follow, write=write, notify=notify) or target

    return on_each_host(fleet, show, lambda _: None)


def _writer(lead: str) -> Callable[[str], None]:
    def write(line: str) -> None:
        text = ESCAPES.sub("", line).replace("\t", "    ")
        click.echo(plain(f"{lead}{text}".rstrip("\r")))

    return write


def _json_writer(host: str, target: Target) -> Callable[[str], None]:
    known = {"host": host, "app": target.app, "release": target.release}
    return lambda line: click.echo(json.dumps({**known, "line": line}, ensure_ascii=False))


def _notifier(host: str) -> Callable[[str], None]:
    return lambda line: click.echo(f"gpuhost: {plain(f'{host}: {line}')}", err=True)


def _print_problems(by_host: Mapping[str, Target | NoLog | HostError]) -> None:
    for host, one in by_host.items():
        if isinstance(one, NoLog):
            _notifier(host)(one.reason)
        if isinstance(one, HostError):
            _notifier(host)(f"{one.status.value}: {one.message}")


def _exit(shown: Targets) -> Exit:
    errors = [one for one in shown.by_host.values() if isinstance(one, HostError)]
    applies = {
        Exit.INTERRUPTED: shown.interrupted,
        Exit.USAGE: any(one.bad_settings for one in errors)
        or all(isinstance(one, NoLog) for one in shown.by_host.values()),
        Exit.UNKNOWN: bool(errors),
    }
    return next((code for code in Exit if applies.get(code)), Exit.OK)
