"""The argument APP, checked before any host is connected to."""

from __future__ import annotations

import click

from gpuhost.cli.common.completion import apps

app_argument = click.argument("app", shell_complete=apps)


def require_file(app: str) -> None:
    """Require an app file of this name. Raises click.ClickException."""
    from gpuhost.appfile.errors import BadApp
    from gpuhost.appfile.loading import find

    try:
        find(app)
    except BadApp as error:
        raise click.ClickException("; ".join(error.lines)) from error


def require_name(app: str) -> None:
    """Require a valid name; the app may have no file here any more.

    Raises click.ClickException.
    """
    from gpuhost.domain.app_name import NAME, NAME_RULE

    if not NAME.fullmatch(app):
        raise click.ClickException(f"invalid app name {app!r}: use {NAME_RULE}")
