"""A cause of a container without GPUs, and what several of them share."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.toolkit.cdi import STATIC


@dataclass(frozen=True)
class Cause:
    """Why a container did not get the GPUs, and what to do; {image} is replaced by the image."""

    cause: str
    fix: str


# A new container: what a daemon-reload takes from old ones, it has not lost yet.
NO_ACCESS = Cause(
    "the container may not open the device nodes /dev/nvidia*",
    "docker info | grep -i -e cgroup -e rootless; "
    "cat /etc/nvidia-container-runtime/config.toml; then run the deploy again",
)
# Without --output it only prints.
REFRESH = f"systemctl restart nvidia-cdi-refresh, or nvidia-ctk cdi generate --output={STATIC}"
GENERATE = f"{REFRESH} if that file exists; then run the deploy again"
RESTART = 'systemctl restart docker, or docker_restart="always"; then run the deploy again'
