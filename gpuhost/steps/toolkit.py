"""The NVIDIA Container Toolkit, and the test of the GPUs inside a container."""

from __future__ import annotations

from gpuhost.operations import toolkit
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def apply(settings: Settings) -> None:
    """Install the packages and generate the CDI specification. Run it before `docker.configure`,
    which registers the runtime.

    Most containers work without a CDI specification, so its failure does not end the deploy.
    """
    toolkit.packages(
        name="Container toolkit",
        mirror=settings.toolkit_mirror,
        version=settings.toolkit_version,
        key_fingerprint=settings.toolkit_key_fingerprint,
        key_file=settings.toolkit_key_file,
        hold=settings.nvidia_hold,
        gpu=settings.gpu,
        adopt=settings.adopt,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )
    toolkit.cdi(name="CDI specification", gpu=settings.gpu, **sudo_args(settings))


def test_gpu_container(settings: Settings) -> None:
    """Test that a container sees every GPU. A failure becomes a finding; the deploy continues."""
    toolkit.proof(
        name="GPU in a container",
        image=settings.toolkit_test_image,
        gpu=settings.gpu,
        restart=settings.docker_restart,
        **sudo_args(settings),
    )


def remove(settings: Settings) -> None:
    """Remove the toolkit. Running containers keep running; new ones start without a GPU."""
    toolkit.packages(
        name="Container toolkit removed",
        present=False,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )
