"""nginx on the host, for apps that are reached through it."""

from __future__ import annotations

from collections.abc import Iterable

from gpuhost.appfile.model import XGpuhost
from gpuhost.operations import nginx
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def ready(settings: Settings, apps: Iterable[XGpuhost]) -> None:
    """Installed and running, if one of the apps has its site on the host.

    + apps: the blocks of all apps that this host is to have
    """
    sites = [app.nginx for app in apps if app.nginx]
    on_host = [site for site in sites if site.where == "host"]
    fetched = any(site.tls is not None and site.tls.kind == "acme" for site in sites)
    if on_host or fetched:
        nginx.installed(
            name="nginx",
            certbot=fetched,
            lock_timeout_s=settings.apt_lock_timeout_s,
            settings=settings,
            **sudo_args(settings),
        )
