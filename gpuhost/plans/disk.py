"""The directories that fill: images, data and apps."""

from __future__ import annotations

from gpuhost.runner.contract import APPS
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.disks import Disk, ancestry
from gpuhost.snapshot.request import Request

DATA_ROOT = "/var/lib/docker"


def disks_by_directory(snapshot: Snapshot, settings: Settings) -> dict[str, Disk]:
    """The directories that fill, each with the file system that holds it."""
    data_root = settings.docker_data_root or DATA_ROOT
    if snapshot.docker.engine and snapshot.docker.engine.root:
        data_root = snapshot.docker.engine.root
    return {
        path: snapshot.disks.under(path)
        for path in ("/", data_root, snapshot.disks.containerd, str(APPS))
    }


def request(settings: Settings) -> Request:
    data_root = settings.docker_data_root or DATA_ROOT
    return Request(directories=(*ancestry(data_root), *ancestry(str(APPS))))
