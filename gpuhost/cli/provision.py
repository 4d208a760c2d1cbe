"""gpuhost provision."""

from __future__ import annotations

import click

from gpuhost.cli.common.pyinfra_run import RunOptions, adopt_option, run_deploy, with_run_options


@click.command()
@with_run_options
@adopt_option
def provision(options: RunOptions, adopt: bool) -> None:
    """Set up hosts: driver, Docker, GPU in containers, firewall, apps.

    Shows what would change and waits for Enter. Changes only what is not as declared: a second run
    changes nothing. Runs deploys/gpu_host.py of the current directory, else gpuhost's own.

    \b
    gpuhost provision inventory.py --dry
    gpuhost provision inventory.py --limit gpu1 -y
    gpuhost provision inventory.py --limit gpu --data swap_size_gb=16
    gpuhost provision @local

    \b
    Exit status:
      130  Ctrl-C
      1    a host or a check failed; an error in the command line or the inventory; no terminal and
           neither -y nor --dry
      0    every host is as declared; with --dry: no host was refused
    """
    run_deploy(options, "gpu_host", **({"adopt": True} if adopt else {}))
