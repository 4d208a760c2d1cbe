"""gpuhost provision."""

from __future__ import annotations

import click

from gpuhost.cli.pyinfra_run import Run, adopt, on_hosts, run_deploy


@click.command()
@on_hosts
@adopt
def provision(run: Run, adopt: bool) -> None:
    """Set up the hosts of INVENTORY: driver, Docker, GPU in containers, firewall, their apps.

    Shows what would change and waits for Enter. What is already as declared stays; a second run
    changes nothing. It runs deploys/gpu_host.py of this directory, or else gpuhost's own, as
    `pyinfra INVENTORY deploys/gpu_host.py` does.

    \b
    gpuhost provision inventory.py --dry
    gpuhost provision inventory.py --limit gpu1 -y
    gpuhost provision inventory.py --limit gpu --data swap_size_gb=16
    gpuhost provision @local

    \b
    Exit status:
      1  a host failed, or a check of the verification; a mistake in the command line or the
         inventory; no terminal and neither -y nor --dry
      0  all is well; with --dry: no host was refused
    """
    run_deploy(run, "gpu_host", **({"adopt": True} if adopt else {}))
