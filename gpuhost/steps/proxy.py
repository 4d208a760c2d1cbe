"""The HTTP proxy, before the first package is fetched."""

from __future__ import annotations

from gpuhost.operations import proxy
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def ready(declared: Settings) -> None:
    """apt, the engine, builds and containers go through the declared proxy, or through none."""
    proxy.everywhere(
        name="HTTP proxy",
        http=declared.proxy_http,
        https=declared.proxy_https,
        no_proxy=declared.proxy_no,
        **elevated(declared),
    )


def removed(declared: Settings) -> None:
    """What gpuhost set for a proxy is gone."""
    proxy.everywhere(name="HTTP proxy", **elevated(declared))
