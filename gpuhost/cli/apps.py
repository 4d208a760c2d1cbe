"""The argument APP, and mistakes in it, before any host is connected to."""

from __future__ import annotations

import click

from gpuhost.cli.completion import apps

app_argument = click.argument("app", shell_complete=apps)


def require_file(app: str) -> None:
    """A file here describes it. Raises click.ClickException."""
    from gpuhost.appfile.errors import BadApp
    from gpuhost.appfile.loading import find

    try:
        find(app)
    except BadApp as error:
        raise click.ClickException("; ".join(error.lines)) from error


def require_name(app: str) -> None:
    """It may be an app's name; the hosts know which they have, also without its file here.

    Raises click.ClickException.
    """
    from gpuhost.appfile.loading import NAME, NAME_RULE

    if not NAME.fullmatch(app):
        raise click.ClickException(f"{app!r} is not the name of an app: {NAME_RULE}")
