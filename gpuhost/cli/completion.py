"""What a shell completes an argument with. What takes long to import is imported when asked for."""

from __future__ import annotations

import click

APP = "app:"


def apps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Apps that have a file: the user's own in apps/, and those that gpuhost brings."""
    from gpuhost.release.wanted import known_apps

    return [name for name in known_apps() if name.startswith(incomplete)]


def removables(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What `gpuhost remove` takes: nouns, and app:NAME."""
    from gpuhost.host.removal import removable

    if incomplete.startswith(APP):
        return [f"{APP}{name}" for name in apps(ctx, param, incomplete.removeprefix(APP))]
    names = [APP if name == "app" else name for name in removable()]
    return [name for name in names if name.startswith(incomplete)]
