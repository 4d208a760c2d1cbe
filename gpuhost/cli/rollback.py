"""gpuhost rollback."""

from __future__ import annotations

import click

from gpuhost.cli.common.apps import app_argument, require_name
from gpuhost.cli.common.pyinfra_run import RunOptions, run_deploy, with_run_options


@click.command()
@with_run_options
@app_argument
@click.option(
    "--to",
    metavar="ID",
    help="A release from `gpuhost releases`, or a revision (7 digits are enough); default: the "
    "previous release.",
)
def rollback(options: RunOptions, app: str, to: str | None) -> None:
    """Roll back an app to an earlier release, and verify it.

    Data is not changed. `gpuhost releases` lists the releases. A host that already runs that
    release is not changed. Runs deploys/rollback.py of the current directory, else gpuhost's own.

    \b
    gpuhost rollback inventory.py tts --dry
    gpuhost rollback inventory.py tts --to 20261121-010203-aabbccdd --limit gpu1
    gpuhost rollback inventory.py tts --to 92d8ffd -y

    \b
    Exit status:
      130  Ctrl-C; a rollback that has started continues on its host
      1    a host failed, or has no such app or release; an error in the command line or the
           inventory; no terminal and neither -y nor --dry
      0    the release is current and verified on every host
    """
    require_name(app)
    run_deploy(options, "rollback", app=app, **({"release": to} if to else {}))
