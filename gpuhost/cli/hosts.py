"""What every command does with INVENTORY: the same options, the same rules, one progress line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import click
import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host
from pyinfra_cli.util import parse_cli_arg  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from gpuhost.cli import streams
from gpuhost.domain.exit_status import (
    Exit,
)
from gpuhost.domain.plain_text import (
    plain,
)
from gpuhost.fleet.host_keys import refuse_unknown_host_keys
from gpuhost.fleet.inventory import Fleet, load
from gpuhost.fleet.reading import disable_password_prompts

TIMEOUT = 180
Told = Callable[[str], None]


@dataclass(frozen=True)
class Selection:
    """Which hosts, with which settings."""

    inventory: str
    limit: tuple[str, ...]
    exclude: tuple[str, ...]
    data: tuple[str, ...]
    group_data: tuple[str, ...]


@dataclass(frozen=True)
class Choosing(Selection):
    """Which hosts, with which settings. timeout: seconds for one host."""

    timeout: float


def hosts_of_an_inventory(
    *, timeout: int = TIMEOUT
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The argument INVENTORY and its options; the command gets them as the first, a Choosing.

    + timeout: seconds for one host, unless somebody says otherwise
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        def chosen(**given: Any) -> None:
            names = Choosing.__dataclass_fields__
            choosing = Choosing(**{name: given.pop(name) for name in names})
            command(choosing, **given)

        chosen.__name__, chosen.__doc__ = command.__name__, command.__doc__
        # Options of its own come after these.
        chosen.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        for decorate in reversed((*OPTIONS, _limit(timeout))):
            chosen = decorate(chosen)
        return chosen

    return decorated


def _limit(seconds: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=seconds,
        show_default=True,
        metavar="SECONDS",
        help="The limit for one host.",
    )


OPTIONS = (
    # For the shell's completion; it may also be a host's name or a connector.
    click.argument("inventory", type=click.Path()),
    click.option(
        "--limit", multiple=True, help="Only this host, pattern (gpu*) or group; repeatable."
    ),
    click.option("--exclude", multiple=True, help="Not this host, pattern or group; repeatable."),
    click.option(
        "--data", multiple=True, metavar="KEY=VALUE", help="Override a setting; repeatable."
    ),
    click.option(
        "--group-data", multiple=True, metavar="DIR", help="One more group_data directory."
    ),
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


@contextmanager
def fleet_of(choosing: Choosing) -> Iterator[tuple[Fleet, Told]]:
    """The hosts, and whom to tell of each that is done. Nobody is asked for anything.

    Raises BadInventory, and click's own errors.
    """
    _be_quiet()
    refuse_unknown_host_keys()
    disable_password_prompts()
    # What a person's inventory prints must not end up in the JSON.
    with redirect_stdout(sys.stderr):
        fleet = load_fleet(choosing)
        with _progress(fleet.hosts) as told:
            yield fleet, told


def load_fleet(selection: Selection) -> Fleet:
    """The hosts, not connected to. Raises BadInventory, and click's own errors."""
    # What a person's inventory prints must not end up in the JSON.
    with redirect_stdout(sys.stderr), _pyinfras_warnings():
        return load(
            selection.inventory,
            data=_overrides(selection.data),
            group_data=selection.group_data,
            limit=selection.limit,
            exclude=selection.exclude,
        )


@contextmanager
def showing() -> Iterator[None]:
    """Print a report. Who reads no further (`gpuhost … | head`) has seen enough: the command ends
    as if they had read it. On a full disk it ends here, with a mistake's exit status.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        streams.give_up(sys.stdout)
    except OSError as error:
        streams.give_up(sys.stdout)
        streams.say(f"the report could not be printed: {error.strerror or error}")
        sys.exit(Exit.USAGE)


def _overrides(data: Sequence[str]) -> dict[str, Any]:
    pairs = [item.partition("=") for item in data]
    for key, equals, _ in pairs:
        if not (key and equals):
            raise click.BadParameter("write KEY=VALUE", param_hint="--data")
    return {key: parse_cli_arg(value) for key, _, value in pairs}


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
    names = TextColumn("{task.description}", markup=False)
    awaited = [host.name for host in hosts]
    # On the terminal itself: sys.stderr of now, not what the inventory's prints were sent to.
    with Progress(*columns, names, **_on_terminal()) as bar:
        task = bar.add_task(_awaiting(awaited), total=len(hosts))

        def told(host: str) -> None:
            awaited.remove(host)
            bar.update(task, advance=1, description=_awaiting(awaited))

        yield told


def _on_terminal() -> dict[str, Any]:
    stderr = Console(stderr=True)
    return {"console": stderr, "transient": True, "disable": not stderr.is_terminal}


def _awaiting(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return plain(f"waiting for {', '.join(names[:3])}{more}") if names else ""
