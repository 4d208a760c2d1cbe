"""gpuhost logs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

import click
from pyinfra.api.host import Host

from gpuhost.cli.common.completion import apps
from gpuhost.cli.common.hosts import ReadOptions, open_fleet, report_output, with_read_options
from gpuhost.domain.exit_status import Exit
from gpuhost.domain.plain_text import cut, plain, without_escapes
from gpuhost.fleet.host_pool import HostError, HostResults, on_each_host
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.logs import NoLog, Target, find_log, stream_log
from gpuhost.fleet.workers import read_hosts
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@click.command()
@with_read_options()
@click.option("--app", required=True, metavar="NAME", shell_complete=apps, help="The app.")
@click.option(
    "--release",
    metavar="ID",
    help="A release from `gpuhost releases`, or the backup of a restore; default: the one in "
    "progress, else the newest.",
)
@click.option("--follow", "-f", is_flag=True, help="Show the log until the release ends.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON instead of text: an object per line, with host, app, release, line.",
)
def logs(options: ReadOptions, app: str, release: str | None, follow: bool, as_json: bool) -> None:
    """Show the log of a release or a restore. Changes nothing on the hosts.

    --follow reconnects for ten minutes if the connection is lost. Ctrl-C detaches; the release
    continues on the host. With several hosts, each line starts with the host's name.

    \b
    gpuhost logs inventory.py --app tts --follow
    gpuhost logs inventory.py --limit gpu1 --app tts --release 20261122-010203-aabbccdd
    gpuhost logs inventory.py --app tts --json | jq -r 'select(.line | test("error")) | .host'

    \b
    Exit status, the first that applies:
      130  Ctrl-C; a release in progress continues on its host
      1    an error in the command line, the inventory or a host's settings; no host has the release
      3    a host could not be reached or read
      0    the log was printed, also if the release failed
    """

    def find(host: str, snapshot: Snapshot, settings: Settings) -> Target | NoLog:
        return find_log(snapshot, app, release)

    with open_fleet(options) as (fleet, on_done):
        targets: Targets = read_hosts(fleet, options.timeout, find, on_done)
    shown = targets
    with report_output():
        shown = _show(fleet, targets, follow, as_json)
    _print_problems(shown.by_host)
    if shown.interrupted:
        click.echo("gpuhost: interrupted; a release in progress continues on the host", err=True)
    sys.exit(_exit(shown))


Targets = HostResults[Target | NoLog]


def _show(fleet: Fleet, targets: Targets, follow: bool, as_json: bool) -> Targets:
    """Show the logs. Returns the targets; an error replaces a target whose log cannot be read."""
    if targets.interrupted:
        return targets
    several = sum(isinstance(one, Target) for one in targets.by_host.values()) > 1

    def show(host: Host) -> Target | NoLog | HostError:
        target = targets.by_host[host.name]
        if not isinstance(target, Target):
            return target
        notify = _notifier(host.name)
        if target.under_way and not follow:
            notify("in progress: --follow shows the log until it ends")
        lead = f"{host.name} | " if several else ""
        write = _json_writer(host.name, target) if as_json else _writer(lead)
        return stream_log(host, target, follow=follow, write=write, notify=notify) or target

    return on_each_host(fleet, show)


def _writer(lead: str) -> Callable[[str], None]:
    def write(line: str) -> None:
        text = without_escapes(line).replace("\t", "    ")
        click.echo(plain(cut(f"{lead}{text}".rstrip("\r"))))

    return write


def _json_writer(host: str, target: Target) -> Callable[[str], None]:
    known = {"host": host, "app": target.app, "release": target.release}

    def write(line: str) -> None:
        text = plain(cut(without_escapes(line)))
        click.echo(json.dumps({**known, "line": text}, ensure_ascii=False))

    return write


def _notifier(host: str) -> Callable[[str], None]:
    return lambda line: click.echo(f"gpuhost: {plain(f'{host}: {line}')}", err=True)


def _print_problems(by_host: Mapping[str, Target | NoLog | HostError]) -> None:
    for host, result in by_host.items():
        if isinstance(result, NoLog):
            _notifier(host)(result.reason)
        if isinstance(result, HostError):
            _notifier(host)(f"{result.status.value}: {result.message}")


def _exit(shown: Targets) -> Exit:
    errors = [one for one in shown.by_host.values() if isinstance(one, HostError)]
    applies = {
        Exit.INTERRUPTED: shown.interrupted,
        Exit.USAGE: any(one.bad_settings for one in errors)
        or all(isinstance(one, NoLog) for one in shown.by_host.values()),
        Exit.UNKNOWN: bool(errors),
    }
    return next((code for code in Exit if applies.get(code)), Exit.OK)
