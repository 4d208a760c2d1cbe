"""The `gpuhost` command."""

from __future__ import annotations

# First of all: it prepares the standard library for many connections at once.
import pyinfra_cli  # type: ignore[import-untyped]  # noqa: F401

# isort: split
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from typing import Any, NoReturn

import click
import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host
from pyinfra_cli.util import parse_cli_arg  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from gpuhost.fleet.check import Told, check_fleet
from gpuhost.fleet.host_keys import be_strict
from gpuhost.fleet.inventory import BadInventory, load
from gpuhost.fleet.reading import never_ask
from gpuhost.fleet.report import Exit, FleetReport, HostReport
from gpuhost.outputs.fleet import print_report
from gpuhost.outputs.table import console

TIMEOUT = 180


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("gpuhost"), prog_name="gpuhost")
def cli() -> None:
    """Blank Debian and Ubuntu servers to verified GPU container hosts.

    \b
    pyinfra inventory.py deploys/gpu_host.py    sets hosts up
    gpuhost check inventory.py                  tells how they are, and changes nothing
    """


@cli.command()
@click.argument("inventory")
@click.option("--limit", multiple=True, help="Only this host, pattern (gpu*) or group; repeatable.")
@click.option("--exclude", multiple=True, help="Not this host, pattern or group; repeatable.")
@click.option("--data", multiple=True, metavar="KEY=VALUE", help="Override a setting; repeatable.")
@click.option("--group-data", multiple=True, metavar="DIR", help="One more group_data directory.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="The limit for one host.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (schema 1) instead of tables.")
def check(
    inventory: str,
    limit: tuple[str, ...],
    exclude: tuple[str, ...],
    data: tuple[str, ...],
    group_data: tuple[str, ...],
    timeout: float,
    as_json: bool,
) -> None:
    """Check the hosts of INVENTORY against their settings. Nothing on them is changed.

    INVENTORY is an inventory file, host names with commas between them, or @local for this machine,
    as for pyinfra. A host costs one connection and one command.

    \b
    gpuhost check inventory.py
    gpuhost check inventory.py --limit gpu --limit 'web*'
    gpuhost check inventory.py --json | jq '.hosts[] | select(.status != "ok")'
    gpuhost check 203.0.113.10 --data ssh_user=root --data cuda='"12.1"'
    gpuhost check @local

    \b
    Exit status, the first that applies:
      1  a mistake in the command line, the inventory or a host's settings; no host at all
      3  a host was not reached or not wholly read
      2  a check fails
      0  every check is ok; warnings are allowed
    """
    _be_quiet()
    be_strict()
    never_ask()
    # What a person's inventory prints must not end up in the JSON.
    with redirect_stdout(sys.stderr):
        with _pyinfras_warnings():
            fleet = load(
                inventory,
                data=_overrides(data),
                group_data=group_data,
                limit=limit,
                exclude=exclude,
            )
        with _progress(fleet.hosts) as told:
            report = check_fleet(fleet, timeout, told)
    _print(report, as_json)
    sys.exit(report.exit)


def _overrides(data: Sequence[str]) -> dict[str, Any]:
    pairs = [item.partition("=") for item in data]
    for key, equals, _ in pairs:
        if not (key and equals):
            raise click.BadParameter("write KEY=VALUE", param_hint="--data")
    return {key: parse_cli_arg(value) for key, _, value in pairs}


def _print(report: FleetReport, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        print_report(report, console(sys.stdout))


def _be_quiet() -> None:
    """A host's trouble stands in its row: nothing that a library logs or prints adds to it."""
    for name in ("pyinfra", "paramiko"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    gevent.get_hub().exception_stream = None


@contextmanager
def _pyinfras_warnings() -> Iterator[None]:
    """While the inventory is loaded pyinfra's warnings are about the inventory: show them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("gpuhost: %(message)s"))
    logging.getLogger("pyinfra").addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger("pyinfra").removeHandler(handler)


@contextmanager
def _progress(hosts: Sequence[Host]) -> Iterator[Told]:
    """How many hosts are done and which are awaited, where somebody is looking."""
    columns = TextColumn("{task.completed:g}/{task.total:g} hosts"), TimeElapsedColumn()
    awaited = [host.name for host in hosts]
    # On the terminal itself: sys.stderr of now, not what the inventory's prints were sent to.
    with Progress(*columns, TextColumn("{task.description}"), **_on_terminal()) as bar:
        task = bar.add_task(_awaiting(awaited), total=len(hosts))

        def told(report: HostReport) -> None:
            awaited.remove(report.host)
            bar.update(task, advance=1, description=_awaiting(awaited))

        yield told


def _on_terminal() -> dict[str, Any]:
    stderr = Console(stderr=True)
    return {"console": stderr, "transient": True, "disable": not stderr.is_terminal}


def _awaiting(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"waiting for {', '.join(names[:3])}{more}" if names else ""


def main() -> NoReturn:
    """Run the command; every mistake of the one who called it ends with exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter shows a question mark.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as finished:
        sys.exit(finished.exit_code)
    except BadInventory as error:
        click.echo(f"gpuhost: {error}", err=True)
        sys.exit(Exit.USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        click.echo("gpuhost: interrupted", err=True)
        sys.exit(Exit.INTERRUPTED)
    sys.exit(Exit.OK)


if __name__ == "__main__":
    main()
