"""The container engine and its configuration."""

from __future__ import annotations

from gpuhost.operations import docker
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def apply(settings: Settings) -> None:
    """Install and start the engine, and enable it at boot."""
    docker.engine(
        name="Container engine",
        source=settings.docker_source,
        mirror=settings.docker_mirror,
        key_fingerprint=settings.docker_key_fingerprint,
        key_file=settings.docker_key_file,
        address_pools=settings.docker_address_pools,
        restart=settings.docker_restart,
        adopt=settings.adopt,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )


def configure(settings: Settings) -> None:
    """Merge daemon.json and activate it. Run it after the toolkit: then one restart is enough."""
    docker.daemon_json(
        name="Engine configuration",
        registry_mirrors=settings.docker_registry_mirrors,
        log_max_size=settings.docker_log_max_size,
        log_max_file=settings.docker_log_max_file,
        address_pools=settings.docker_address_pools,
        data_root=settings.docker_data_root,
        live_restore=settings.docker_live_restore,
        cgroup_driver=settings.docker_cgroup_driver,
        features=settings.docker_features,
        gpu=settings.gpu,
        restart=settings.docker_restart,
        adopt=settings.adopt,
        **sudo_args(settings),
    )


def remove(settings: Settings) -> None:
    """Remove gpuhost's configuration; the engine and its data stay."""
    docker.daemon_json(
        name="Engine configuration removed",
        restart=settings.docker_restart,
        present=False,
        **sudo_args(settings),
    )
