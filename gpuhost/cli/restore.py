"""gpuhost restore."""

from __future__ import annotations

from dataclasses import replace

import click

from gpuhost.cli.apps import app_argument, require_name
from gpuhost.cli.pyinfra_run import Run, on_hosts, run_deploy


@click.command()
@on_hosts
@app_argument
@click.argument("backup", required=False)
def restore(run: Run, app: str, backup: str | None) -> None:
    """Restore the data of APP from BACKUP; without BACKUP list the backups, and change nothing.

    The app is stopped meanwhile. If it does not work with the restored data, the data of before
    comes back. Each host has backups of its own: give --limit HOST. It runs deploys/restore.py of
    this directory, or else gpuhost's own.

    \b
    gpuhost restore inventory.py tts
    gpuhost restore inventory.py tts 20261121-033000-schedule --limit gpu1 --dry
    gpuhost restore inventory.py tts 20261121-033000-schedule --limit gpu1 -y

    \b
    Exit status:
      1    a host failed, or has no such app or backup; a mistake in the command line or the
           inventory; no terminal and neither -y nor --dry
      0    the data is restored on every host, or the backups are listed
      130  Ctrl-C; a restore that has begun continues on its host
    """
    require_name(app)
    if backup is None:
        # A list changes nothing that somebody had to confirm.
        run_deploy(replace(run, yes=not run.dry), "restore", app=app)
    run_deploy(run, "restore", app=app, backup=backup)
