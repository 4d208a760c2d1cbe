"""gpuhost deploy."""

from __future__ import annotations

import click

from gpuhost.cli.apps import app_argument, require_file
from gpuhost.cli.pyinfra_run import Run, adopt, on_hosts, run_deploy


@click.command()
@on_hosts
@app_argument
@adopt
def deploy(run: Run, app: str, adopt: bool) -> None:
    """Release APP on the hosts of INVENTORY: build, migrate, start, verify, or roll back.

    APP is apps/APP.yaml of this directory, or else an app that gpuhost brings. With several hosts,
    the first that fails stops the rest. It runs deploys/app.py of this directory, or else gpuhost's
    own.

    \b
    gpuhost deploy inventory.py tts --dry
    gpuhost deploy inventory.py tts --limit gpu1 -y

    \b
    Exit status:
      1    a host failed; an unknown app; a mistake in the command line, the inventory or the app's
           file; no terminal and neither -y nor --dry
      0    the release is verified on every host, or nothing has changed
      130  Ctrl-C; a release that has begun continues on its host
    """
    require_file(app)
    run_deploy(run, "app", app=app, **({"adopt": True} if adopt else {}))
