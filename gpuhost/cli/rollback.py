"""gpuhost rollback."""

from __future__ import annotations

import click

from gpuhost.cli.apps import app_argument, require_name
from gpuhost.cli.pyinfra_run import Run, on_hosts, run_deploy


@click.command()
@on_hosts
@app_argument
@click.option(
    "--to",
    metavar="ID",
    help="This release, or a revision (7 digits will do); default: the previous release.",
)
def rollback(run: Run, app: str, to: str | None) -> None:
    """Bring back an earlier release of APP, and verify it like a new one. Data is not touched.

    `gpuhost releases` lists what there is to go back to. A host that runs that release already is
    left as it is. It runs deploys/rollback.py of this directory, or else gpuhost's own.

    \b
    gpuhost rollback inventory.py tts --dry
    gpuhost rollback inventory.py tts --to 20261121-010203-aabbccdd --limit gpu1
    gpuhost rollback inventory.py tts --to 92d8ffd -y

    \b
    Exit status:
      1    a host failed, or has no such app or release; a mistake in the command line or the
           inventory; no terminal and neither -y nor --dry
      0    the release is in place on every host
      130  Ctrl-C; a rollback that has begun continues on its host
    """
    require_name(app)
    run_deploy(run, "rollback", app=app, **({"release": to} if to else {}))
