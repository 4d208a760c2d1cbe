"""The NVIDIA Container Toolkit, and the GPUs proven inside a container."""

from __future__ import annotations

from gpuhost.operations import toolkit
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def ready(declared: Settings) -> None:
    """Packages and CDI specification. Before the engine's configuration names the runtime.

    Without a CDI specification most containers get their GPU still: that ends no deploy.
    """
    toolkit.packages(
        name="Container toolkit",
        mirror=declared.toolkit_mirror,
        version=declared.toolkit_version,
        key_fingerprint=declared.toolkit_key_fingerprint,
        key_file=declared.toolkit_key_file,
        hold=declared.nvidia_hold,
        gpu=declared.gpu,
        apt_lock_timeout_s=declared.apt_lock_timeout_s,
        **elevated(declared),
    )
    toolkit.cdi(
        name="CDI specification", gpu=declared.gpu, _ignore_errors=True, **elevated(declared)
    )


def proven(declared: Settings) -> None:
    """Every GPU seen in a container. What fails here is a finding, and the other steps go on."""
    toolkit.proof(
        name="GPU in a container",
        image=declared.toolkit_test_image,
        gpu=declared.gpu,
        restart=declared.docker_restart,
        _ignore_errors=True,
        **elevated(declared),
    )


def removed(declared: Settings) -> None:
    """No toolkit. Containers that run go on, and start no more with a GPU."""
    toolkit.absent(
        name="Container toolkit removed",
        apt_lock_timeout_s=declared.apt_lock_timeout_s,
        **elevated(declared),
    )
