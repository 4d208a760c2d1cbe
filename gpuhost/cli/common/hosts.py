"""INVENTORY and its options: the same for every command, with one progress line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from math import isfinite
from typing import Any

import click
import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host
from pyinfra_cli.util import parse_cli_arg  # type: ignore[import-untyped]
from typing_extensions import override

from gpuhost.cli.common import streams
from gpuhost.domain.exit_status import Exit
from gpuhost.fleet.host_keys import refuse_unknown_host_keys
from gpuhost.fleet.host_pool import OnDone
from gpuhost.fleet.inventory import Fleet, load
from gpuhost.fleet.reading import REPLY_BYTES, disable_password_prompts
from gpuhost.remote.spared_work import spare_work
from gpuhost.remote.ssh_limits import limit_ssh

TIMEOUT = 180


@dataclass(frozen=True)
class Selection:
    """Which hosts, with which settings."""

    inventory: str
    limit: tuple[str, ...]
    exclude: tuple[str, ...]
    data: tuple[str, ...]
    group_data: tuple[str, ...]


@dataclass(frozen=True)
class ReadOptions(Selection):
    """Of a command that only reads. timeout: seconds for one host."""

    timeout: float


class Seconds(click.FloatRange):
    """click takes `inf` and `nan` for numbers; no timer does."""

    @override
    def convert(self, value: Any, *where: Any) -> float:
        number: float = super().convert(value, *where)
        if not isfinite(number):
            self.fail(f"{value!r} is not a number of seconds.", *where)
        return number


def with_read_options(
    *, timeout: int = TIMEOUT
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The argument INVENTORY and its options, as the first argument of the command.

    + timeout: the default, in seconds for one host
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def wrapper(**values: Any) -> None:
            names = ReadOptions.__dataclass_fields__
            options = ReadOptions(**{name: values.pop(name) for name in names})
            command(options, **values)

        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        # The command's own options come after these.
        params = getattr(command, "__click_params__", [])
        wrapper.__click_params__ = params  # type: ignore[attr-defined]
        for add in reversed((*INVENTORY_OPTIONS, _timeout_option(timeout))):
            wrapper = add(wrapper)
        return wrapper

    return decorate


def _timeout_option(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--timeout",
        type=Seconds(min=1),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help="Time limit for one host.",
    )


INVENTORY_OPTIONS = (
    # A path, for the shell's completion; it may also be a host name or a connector.
    click.argument("inventory", type=click.Path()),
    click.option(
        "--limit",
        multiple=True,
        metavar="HOSTS",
        help="Only this host, pattern (gpu*) or group; repeatable.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="HOSTS",
        help="Not this host, pattern or group; repeatable.",
    ),
    click.option(
        "--data", multiple=True, metavar="KEY=VALUE", help="Override a setting; repeatable."
    ),
    click.option(
        "--group-data",
        multiple=True,
        metavar="DIR",
        help="Another directory like group_data; repeatable.",
    ),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


@contextmanager
def open_fleet(options: ReadOptions) -> Iterator[tuple[Fleet, OnDone]]:
    """The hosts, and a function that shows the progress. Never asks.

    Raises BadInventory, and click's own errors.
    """
    _silence_libraries()
    refuse_unknown_host_keys()
    disable_password_prompts()
    spare_work()
    # What the user's inventory prints must not end up in the JSON.
    with redirect_stdout(sys.stderr):
        fleet = load_fleet(options)
        # After config.py, which sets the limits of a deploy.
        limit_ssh(REPLY_BYTES)
        with _progress(fleet.hosts) as on_done:
            yield fleet, on_done


def load_fleet(selection: Selection) -> Fleet:
    """The hosts, not connected to. Raises BadInventory, and click's own errors."""
    # What the user's inventory prints must not end up in the JSON.
    with redirect_stdout(sys.stderr), _pyinfra_warnings():
        return load(
            selection.inventory,
            data=_overrides(selection.data),
            group_data=selection.group_data,
            limit=selection.limit,
            exclude=selection.exclude,
        )


@contextmanager
def report_output() -> Iterator[None]:
    """Print a report inside.

    If the reader stops early (`gpuhost … | head`), the command continues as if all was read. On a
    full disk it ends here with Exit.USAGE.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        streams.discard_output(sys.stdout)
    except OSError as error:
        streams.discard_output(sys.stdout)
        streams.say(f"the report could not be printed: {error.strerror or error}")
        sys.exit(Exit.USAGE)


def _overrides(data: Sequence[str]) -> dict[str, Any]:
    pairs = [item.partition("=") for item in data]
    for key, equals, _ in pairs:
        if not (key and equals):
            raise click.BadParameter("write KEY=VALUE", param_hint="--data")
    return {key: parse_cli_arg(value) for key, _, value in pairs}


def _silence_libraries() -> None:
    """The report shows each host's error: libraries must not log or print it too."""
    for name in ("pyinfra", "paramiko"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    gevent.get_hub().exception_stream = None


@contextmanager
def _pyinfra_warnings() -> Iterator[None]:
    """Show pyinfra's warnings: while the inventory is loaded, they are about the inventory."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("gpuhost: %(message)s"))
    logging.getLogger("pyinfra").addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger("pyinfra").removeHandler(handler)


@contextmanager
def _progress(hosts: Sequence[Host]) -> Iterator[OnDone]:
    """On a terminal, show how many hosts are done and which are not."""
    with ExitStack() as shown:
        bar: list[OnDone] = []

        def on_done(host: str | None) -> None:
            if not bar:
                # With the first connections: they do not wait for it.
                from gpuhost.cli.common.progress import progress

                bar.append(shown.enter_context(progress([host.name for host in hosts])))
            bar[0](host)

        yield on_done if sys.stderr.isatty() else _show_nothing


def _show_nothing(host: str | None) -> None:
    pass
