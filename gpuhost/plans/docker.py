"""The container engine as the settings want it on a host."""

from __future__ import annotations

from typing import Any

from gpuhost.settings import Settings

NVIDIA_RUNTIME = {"args": [], "path": "nvidia-container-runtime"}


def ours(settings: Settings, *, gpu: bool, swarm: bool) -> dict[str, Any]:
    """The keys that the settings ask for, by path.

    + gpu: register the nvidia runtime
    + swarm: live-restore must stay away (docs.docker.com/engine/daemon/live-restore)
    """
    keys: dict[str, Any] = {
        "log-driver": "json-file",
        "log-opts.max-size": settings.docker_log_max_size,
        "log-opts.max-file": str(settings.docker_log_max_file),
    }
    if settings.docker_live_restore and not swarm:
        keys["live-restore"] = True
    if settings.docker_registry_mirrors:
        keys["registry-mirrors"] = list(settings.docker_registry_mirrors)
    if settings.docker_address_pools:
        keys["default-address-pools"] = [
            {"base": base, "size": int(size or base.rpartition("/")[2])}
            for base, _, size in (pool.partition("#") for pool in settings.docker_address_pools)
        ]
    if settings.docker_data_root:
        keys["data-root"] = settings.docker_data_root
    for feature, on in settings.docker_features.items():
        keys[f"features.{feature}"] = on
    if gpu:
        keys["runtimes.nvidia"] = NVIDIA_RUNTIME
    return keys
