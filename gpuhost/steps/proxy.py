"""The HTTP proxy, before the first package is downloaded."""

from __future__ import annotations

from gpuhost.operations import proxy
from gpuhost.plans.proxy import is_declared
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def apply(settings: Settings) -> None:
    """Configure apt, the engine, builds and containers for the declared proxy, or for none."""
    proxy.configure(
        name="HTTP proxy",
        http=settings.proxy_http,
        https=settings.proxy_https,
        no_proxy=settings.proxy_no,
        adopt=settings.adopt,
        present=is_declared(settings),
        **sudo_args(settings),
    )


def remove(settings: Settings) -> None:
    """Remove the proxy settings."""
    proxy.configure(name="HTTP proxy", adopt=settings.adopt, present=False, **sudo_args(settings))
