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
from gpuhost.domain.exit_status import (
    Exit,
)
from gpuhost.domain.plain_text import (
    plain,
)
from gpuhost.fleet import logs as of_a_fleet
from gpuhost.fleet.host_pool import HostError, HostResults, on_each_host, with_host
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.logs import NoLog, Target, target
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# Colours and cursor movements of the tools whose words are in the log.
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


@click.command()
@hosts_of_an_inventory()
@click.option("--app", required=True, metavar="NAME", shell_complete=apps, help="The app.")
@click.option(
    "--release",
    metavar="ID",
    help="This release, as `gpuhost releases` lists it; or the restore of this backup.",
)
@click.option("--follow", "-f", is_flag=True, help="Go on until the release has ended.")
@click.option(
    "--json", "as_json", is_flag=True, help="An object for each line: host, app, release, line."
)
def logs(choosing: Choosing, app: str, release: str | None, follow: bool, as_json: bool) -> None:
    """Show the log of a release or a restore: of what is under way, else of the newest release.

    With --follow it goes on while the release does, and takes up a connection again that broke off,
    for ten minutes. Ctrl-C ends the showing; the release goes on, the host owns it. With
    several hosts each line begins with its host.

    \b
    gpuhost logs inventory.py --app tts --follow
    gpuhost logs inventory.py --limit gpu1 --app tts --release 20261122-010203-aabbccdd
    gpuhost logs inventory.py --app tts --json | jq -r 'select(.line | test("error")) | .host'

    \b
    Exit status, the first that applies:
      130  Ctrl-C
      1    a mistake in the command line, the inventory or a host's settings; no host has it
      3    a host was not reached or not read
      0    the log was shown, however its release ended
    """

    def judge(snapshot: Snapshot, settings: Settings) -> Target | NoLog:
        return target(snapshot, app, release)

    def look(host: Host) -> Target | NoLog | HostError:
        return with_host(fleet, host, choosing.timeout, judge)

    with fleet_of(choosing) as (fleet, told):
        targets: Found = on_each_host(fleet, look, told)
    shown = targets
    with showing():
        shown = _show(fleet, targets, follow, as_json)
    _say(shown.found)
    if shown.interrupted:
        click.echo("gpuhost: interrupted; a release that is under way goes on", err=True)
    sys.exit(_exit(shown))


Found = HostResults[Target | NoLog]


def _show(fleet: Fleet, targets: Found, follow: bool, as_json: bool) -> Found:
    """The logs of those hosts that have one; the same with what went wrong on the way."""
    if targets.interrupted:
        return targets
    several = sum(isinstance(found, Target) for found in targets.found.values()) > 1

    def show(host: Host) -> Target | NoLog | HostError:
        found = targets.found[host.name]
        if not isinstance(found, Target):
            return found
        if found.under_way and not follow:
            click.echo(f"gpuhost: {plain(host.name)}: under way; --follow goes on", err=True)
        lead = f"{host.name} | " if several else ""
        write = _json_writer(host.name, found) if as_json else _writer(lead)
        told = _teller(host.name)
        return of_a_fleet.show(host, found, follow=follow, write=write, told=told) or found

    return on_each_host(fleet, show, lambda _: None)


def _writer(lead: str) -> Callable[[str], None]:
    def write(line: str) -> None:
        words = ESCAPES.sub("", line).replace("\t", "    ")
        click.echo(plain(f"{lead}{words}".rstrip("\r")))

    return write


def _json_writer(host: str, target: Target) -> Callable[[str], None]:
    known = {"host": host, "app": target.app, "release": target.release}
    return lambda line: click.echo(json.dumps({**known, "line": line}, ensure_ascii=False))


def _teller(host: str) -> Callable[[str], None]:
    return lambda line: click.echo(f"gpuhost: {plain(f'{host}: {line}')}", err=True)


def _say(found: Mapping[str, Target | NoLog | HostError]) -> None:
    for host, one in found.items():
        if isinstance(one, NoLog):
            click.echo(f"gpuhost: {plain(f'{host}: {one.reason}')}", err=True)
        if isinstance(one, HostError):
            words = f"{host}: {one.status.value}: {one.sentence}"
            click.echo(f"gpuhost: {plain(words)}", err=True)


def _exit(shown: Found) -> Exit:
    troubles = [one for one in shown.found.values() if isinstance(one, HostError)]
    applies = {
        Exit.INTERRUPTED: shown.interrupted,
        Exit.USAGE: any(one.bad_settings for one in troubles)
        or all(isinstance(one, NoLog) for one in shown.found.values()),
        Exit.UNKNOWN: bool(troubles),
    }
    return next((code for code in Exit if applies.get(code)), Exit.OK)
