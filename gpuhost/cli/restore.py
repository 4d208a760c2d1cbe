"""gpuhost restore."""

from __future__ import annotations

from dataclasses import replace

import click

from gpuhost.cli.common.apps import app_argument, require_name
from gpuhost.cli.common.pyinfra_run import RunOptions, run_deploy, with_run_options


@click.command()
@with_run_options
@app_argument
@click.argument("backup", required=False)
def restore(options: RunOptions, app: str, backup: str | None) -> None:
    """Restore an app's data from a backup, or list the backups.

    Without BACKUP, lists the backups and changes nothing. The app is stopped during the restore. If
    the app cannot be verified with the restored data, the previous data is restored. Each host has
    its own backups: select the host with --limit. Runs deploys/restore.py of the current directory,
    else gpuhost's own.

    \b
    gpuhost restore inventory.py tts
    gpuhost restore inventory.py tts 20261121-033000-schedule --limit gpu1 --dry
    gpuhost restore inventory.py tts 20261121-033000-schedule --limit gpu1 -y

    \b
    Exit status:
      130  Ctrl-C; a restore that has started continues on its host
      1    a host failed, or has no such app or backup; an error in the command line or the
           inventory; no terminal and neither -y nor --dry
      0    the data is restored on every host, or the backups are listed
    """
    require_name(app)
    if backup is None:
        # The list changes nothing, so it needs no confirmation.
        run_deploy(replace(options, yes=not options.dry), "restore", app=app)
    run_deploy(options, "restore", app=app, backup=backup)
