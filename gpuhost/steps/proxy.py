"""The HTTP proxy, before the first package is fetched."""

from __future__ import annotations

from gpuhost.operations import proxy
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def ready(settings: Settings) -> None:
    """apt, the engine, builds and containers go through the declared proxy, or through none."""
    proxy.everywhere(
        name="HTTP proxy",
        http=settings.proxy_http,
        https=settings.proxy_https,
        no_proxy=settings.proxy_no,
        **sudo_args(settings),
    )


def removed(settings: Settings) -> None:
    """What gpuhost set for a proxy is gone."""
    proxy.everywhere(name="HTTP proxy", **sudo_args(settings))
