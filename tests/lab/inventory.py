"""The booted hosts as pyinfra's inventory: how to log in, and where the lab's packages are."""

from __future__ import annotations

from typing import Any

from tests.lab.state import HostState, LabState, RepositoryState, lab_name, load


def pyinfra_hosts(lab: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Hosts that are up, each with its data; empty when nothing is up.

    + lab: its name; None: the one that GPUHOST_LAB names
    """
    kept: LabState | None = load(lab or lab_name())
    if kept is None:
        return []
    return [(host.name, {**login(host), **settings(host, kept.repository)}) for host in kept.hosts]


def login(host: HostState) -> dict[str, Any]:
    """How pyinfra's SSH connector reaches a host."""
    return {
        "ssh_hostname": host.address,
        "ssh_port": host.port,
        "ssh_user": host.user,
        "ssh_key": host.key,
        "ssh_known_hosts_file": host.known_hosts,
        "ssh_strict_host_key_checking": "yes",
    }


def settings(host: HostState, repository: RepositoryState) -> dict[str, Any]:
    """Settings that a host of the lab needs: small, and with the lab's repositories."""
    return {
        "docker_mirror": f"{repository.base}/docker-ce",
        "docker_key_fingerprint": repository.docker_key_fingerprint,
        "toolkit_mirror": f"{repository.base}/libnvidia-container",
        "toolkit_key_fingerprint": repository.toolkit_key_fingerprint,
        "nvidia_mirror": f"{repository.base}/cuda/repos",
        "nvidia_key_fingerprint": repository.nvidia_key_fingerprint,
        "swap_path": host.swap_path,
        # Swap belongs to the machine's kernel, which all hosts share: only its tests enable it.
        "swap_size_gb": 0,
        "disk_min_free_gb": 1.0,
        "memory_min_gb": 1.0,
        "docker_min_memory_gb": 1.0,
    }
