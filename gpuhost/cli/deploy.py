"""gpuhost deploy."""

from __future__ import annotations

import click

from gpuhost.cli.common.apps import app_argument, require_file
from gpuhost.cli.common.pyinfra_run import RunOptions, adopt_option, run_deploy, with_run_options


@click.command()
@with_run_options
@app_argument
@adopt_option
def deploy(options: RunOptions, app: str, adopt: bool) -> None:
    """Release an app: build, migrate, start and verify it.

    If the release fails, the previous release is restored. The app file is apps/APP.yaml of the
    current directory, else the one that comes with gpuhost. With several hosts, the first failure
    stops the others. Runs deploys/app.py of the current directory, else gpuhost's own.

    \b
    gpuhost deploy inventory.py tts --dry
    gpuhost deploy inventory.py tts --limit gpu1 -y

    \b
    Exit status:
      130  Ctrl-C; a release that has started continues on its host
      1    a host failed; an unknown app; an error in the command line, the inventory or the app
           file; no terminal and neither -y nor --dry
      0    the release is verified on every host, or nothing had changed
    """
    require_file(app)
    run_deploy(options, "app", app=app, **({"adopt": True} if adopt else {}))
