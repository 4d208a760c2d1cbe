"""Which driver is asked for: arguments that every operation on it takes, as settings."""

from __future__ import annotations

from typing import Any, Literal

from gpuhost.settings import Settings


def asked_for(
    gpu: Literal["auto", "required", "none"],
    install: bool,
    source: Literal["distro", "nvidia"],
    branch: str | None = None,
    cuda: str | None = None,
    **others: Any,
) -> Settings:
    """The settings that stand behind an operation's arguments.

    + gpu, install, source, branch, cuda: as for `nvidia.driver`
    + others: settings by name that only this operation has
    """
    return Settings(
        gpu=gpu,
        nvidia_driver="install" if install else "check",
        nvidia_source=source,
        nvidia_branch=branch,
        cuda=cuda,
        **others,
    )
