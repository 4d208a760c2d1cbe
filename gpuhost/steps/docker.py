"""The container engine, from a known source and with a known configuration."""

from __future__ import annotations

from gpuhost.operations import docker
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def ready(declared: Settings) -> None:
    """Installed, running, started at boot."""
    docker.engine(
        name="Container engine",
        source=declared.docker_source,
        mirror=declared.docker_mirror,
        key_fingerprint=declared.docker_key_fingerprint,
        key_file=declared.docker_key_file,
        adopt=declared.adopt,
        apt_lock_timeout_s=declared.apt_lock_timeout_s,
        **elevated(declared),
    )


def configured(declared: Settings) -> None:
    """daemon.json merged and in force. After the toolkit: one restart serves both."""
    docker.daemon_json(
        name="Engine configuration",
        registry_mirrors=declared.docker_registry_mirrors,
        log_max_size=declared.docker_log_max_size,
        log_max_file=declared.docker_log_max_file,
        address_pools=declared.docker_address_pools,
        data_root=declared.docker_data_root,
        live_restore=declared.docker_live_restore,
        features=declared.docker_features,
        gpu=declared.gpu,
        restart=declared.docker_restart,
        adopt=declared.adopt,
        **elevated(declared),
    )


def removed(declared: Settings) -> None:
    """Our configuration is gone; the engine and everything in it stays."""
    docker.removed(
        name="Engine configuration removed", restart=declared.docker_restart, **elevated(declared)
    )
