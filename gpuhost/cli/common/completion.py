"""Shell completion of arguments. Slow modules are imported only inside the functions."""

from __future__ import annotations

import click


def apps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Apps that have a file: the user's own in apps/, and those that come with gpuhost."""
    from gpuhost.release.resolved_app import known_apps

    return [name for name in known_apps() if name.startswith(incomplete)]


def nouns(
    ctx: click.Context | None = None, param: click.Parameter | None = None, incomplete: str = ""
) -> list[str]:
    """What `gpuhost remove` can remove; apps have their own option."""
    from gpuhost.steps.removal import removable

    return [name for name in removable() if name.startswith(incomplete) and name != "app"]
