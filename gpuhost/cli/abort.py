"""gpuhost abort."""

from __future__ import annotations

import click

from gpuhost.cli.common.apps import app_argument, require_name
from gpuhost.cli.common.pyinfra_run import RunOptions, run_deploy, with_run_options


@click.command()
@with_run_options
@app_argument
def abort(options: RunOptions, app: str) -> None:
    """End the release, rollback or restore in progress on an app, and undo it.

    The host stops it at the next safe point, and restores what was before: the previous release, or
    the previous data. An operation that was interrupted is undone now. The changes of a migration
    stay. Runs deploys/abort.py of the current directory, else gpuhost's own.

    \b
    gpuhost abort inventory.py tts
    gpuhost abort inventory.py tts --limit gpu1 -y

    \b
    Exit status:
      130  Ctrl-C; the host continues
      1    a host failed: what was before could not be restored, or the operation had ended well
           before it could be aborted; an error in the command line or the inventory; no terminal
           and neither -y nor --dry
      0    it is undone on every host, or nothing was in progress
    """
    require_name(app)
    run_deploy(options, "abort", app=app)
