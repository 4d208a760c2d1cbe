"""Programs that app releases need on their host, besides the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gpuhost.appfile.model import XGpuhost
from gpuhost.operations import app_tools
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def apply(settings: Settings, apps: Iterable[XGpuhost]) -> None:
    """Install the programs that at least one app needs.

    + apps: the blocks of all apps of this host
    """
    packages = tuple(sorted({name for app in apps for name in _packages(app)}))
    if packages:
        app_tools.packages(
            name="Tools of apps",
            packages=packages,
            lock_timeout_s=settings.apt_lock_timeout_s,
            **sudo_args(settings),
        )


def _packages(app: XGpuhost) -> Iterator[str]:
    if app.source and app.source.git:
        yield "git"
        if not app.source.git.startswith("http"):
            yield "openssh-client"
