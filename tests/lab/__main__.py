"""The command ``python -m tests.lab``: boots disposable hosts, and removes them."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType

import click

from tests.lab import cards, images, lab, state
from tests.lab.process import LabError, progress


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: python -m tests.lab up --hosts 2 --gpu p40 && "
    "pyinfra inventories/lab.py deploys/gpu_host.py",
)
def main() -> None:
    """Disposable Debian hosts on this machine, for trying things out.

    GPUHOST_LAB names the lab ("lab" by default); labs of different names live side by side.
    """


@main.command(epilog="Example: python -m tests.lab up --hosts 2 --gpu p40 --release both")
@click.option("--hosts", "count", default=1, type=click.IntRange(1, 50), show_default=True)
@click.option(
    "--gpu",
    "card",
    type=click.Choice(cards.names()),
    help="The simulated card of every host; none by default.",
)
@click.option(
    "--release",
    default="bookworm",
    type=click.Choice([*images.RELEASES, "both"]),
    show_default=True,
)
def up(count: int, card: str | None, release: str) -> None:
    """Boot hosts; those of an earlier `up` are removed first."""
    began = time.monotonic()
    name = state.lab_name()
    releases = list(images.RELEASES) if release == "both" else [release]
    with lab.removed_on_failure(name):
        lab.remove_hosts(name)
        booted = lab.Lab(name).boot(
            *(lab.HostSpec(host, of, card) for host, of in lab.names_for(count, releases))
        )
    for host in booted:
        click.echo(f"{host.name:14} {host.state.address:15} {host.state.release:9} {card or '-'}")
    progress(f"up in {time.monotonic() - began:.1f} s")


@main.command(epilog="Example: python -m tests.lab down")
def down() -> None:
    """Remove the hosts, crashed ones too, and the engine if the lab started it."""
    click.echo(f"removed {lab.down(state.lab_name())} host(s)")


@main.command("list", epilog="Example: python -m tests.lab list")
def list_hosts() -> None:
    """The hosts that are up: name, address, release, card."""
    kept = state.load(state.lab_name())
    for host in kept.hosts if kept else ():
        click.echo(f"{host.name:14} {host.address:15} {host.release:9} {host.card or '-'}")


@main.command(
    context_settings={"ignore_unknown_options": True},
    epilog="Examples: python -m tests.lab ssh bookworm-1, "
    "python -m tests.lab ssh bookworm-1 systemctl --failed",
)
@click.option("--user", help="root by default; there are also ops (sudo) and locked.")
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(user: str | None, name: str, command: tuple[str, ...]) -> None:
    """Log in to a host, or run a command on it."""
    arguments = lab.host(name, state.lab_name()).ssh_arguments(user)
    os.execvp("ssh", ["ssh", *arguments, *command])


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except LabError as error:
        sys.exit(f"lab: {error}")
