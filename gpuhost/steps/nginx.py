"""nginx on the host, for apps with a site."""

from __future__ import annotations

from collections.abc import Iterable

from gpuhost.appfile.model import XGpuhost
from gpuhost.operations import nginx
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def apply(settings: Settings, apps: Iterable[XGpuhost]) -> None:
    """Install and start nginx, if an app has a site on the host or needs an ACME certificate.

    + apps: the blocks of all apps of this host
    """
    sites = [app.nginx for app in apps if app.nginx]
    on_host = [site for site in sites if site.where == "host"]
    needs_acme = any(site.tls is not None and site.tls.kind == "acme" for site in sites)
    if on_host or needs_acme:
        nginx.packages(
            name="nginx",
            certbot=needs_acme,
            lock_timeout_s=settings.apt_lock_timeout_s,
            **sudo_args(settings),
        )
