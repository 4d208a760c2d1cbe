"""Paths of disks and swap, and of the files whose content or owner a check judges."""

from __future__ import annotations

from gpuhost.checks.host.disk import APPS, DATA_ROOT
from gpuhost.checks.host.proxy import MODES
from gpuhost.checks.host.system import UPDATES_FILE
from gpuhost.checks.host.system_files import PATHS
from gpuhost.settings import Settings
from gpuhost.snapshot.paths import ancestry
from gpuhost.snapshot.request import Request

OTHERS = Request(managed=(*MODES, UPDATES_FILE), plain=tuple(sorted(PATHS)))


def request(settings: Settings) -> Request:
    return _disk(settings) | _swap(settings) | OTHERS


def _disk(settings: Settings) -> Request:
    data_root = settings.docker_data_root or DATA_ROOT
    return Request(directories=(*ancestry(data_root), *ancestry(APPS)))


def _swap(settings: Settings) -> Request:
    path = settings.swap_path
    return Request(plain=(path,), directories=ancestry(path), swap_files=(path,))
