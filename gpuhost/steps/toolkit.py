"""The NVIDIA Container Toolkit, and the GPUs proven inside a container."""

from __future__ import annotations

from gpuhost.operations import toolkit
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def ready(settings: Settings) -> None:
    """Packages and CDI specification. Before the engine's configuration names the runtime.

    Without a CDI specification most containers get their GPU still: that ends no deploy.
    """
    toolkit.packages(
        name="Container toolkit",
        mirror=settings.toolkit_mirror,
        version=settings.toolkit_version,
        key_fingerprint=settings.toolkit_key_fingerprint,
        key_file=settings.toolkit_key_file,
        hold=settings.nvidia_hold,
        gpu=settings.gpu,
        apt_lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )
    toolkit.cdi(
        name="CDI specification", gpu=settings.gpu, _ignore_errors=True, **sudo_args(settings)
    )


def proven(settings: Settings) -> None:
    """Every GPU seen in a container. What fails here is a finding, and the other steps go on."""
    toolkit.proof(
        name="GPU in a container",
        image=settings.toolkit_test_image,
        gpu=settings.gpu,
        restart=settings.docker_restart,
        _ignore_errors=True,
        **sudo_args(settings),
    )


def removed(settings: Settings) -> None:
    """No toolkit. Containers that run go on, and start no more with a GPU."""
    toolkit.absent(
        name="Container toolkit removed",
        apt_lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )
