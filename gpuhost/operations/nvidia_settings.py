"""The arguments of every operation on the NVIDIA driver, as settings."""

from __future__ import annotations

from typing import Any, Literal

from gpuhost.settings import Settings

Gpu = Literal["auto", "required", "none"]
Source = Literal["distro", "nvidia"]


def driver_settings(
    gpu: Gpu,
    install: bool,
    source: Source,
    branch: str | None = None,
    cuda: str | None = None,
    **others: Any,
) -> Settings:
    """The settings for an operation's arguments.

    + gpu, install, source, branch, cuda: as in `nvidia.driver`
    + others: more settings, by name
    """
    return Settings(
        gpu=gpu,
        nvidia_driver="install" if install else "check",
        nvidia_source=source,
        nvidia_branch=branch,
        cuda=cuda,
        **others,
    )
