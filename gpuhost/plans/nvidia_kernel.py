"""The kernel for which the driver's modules are built, and its headers."""

from __future__ import annotations

from gpuhost.domain.nvidia.driver_choice import NoDriverPackagesError
from gpuhost.domain.nvidia.kernel import Kernel, Maker, is_real_time, kernel_flavour, maker
from gpuhost.snapshot import Snapshot


def kernel_to_build_for(snapshot: Snapshot) -> Kernel:
    """The running kernel. Raises NoDriverPackagesError if no driver can be built for it."""
    release, packages = snapshot.system.kernel, snapshot.nvidia.packages
    why_not = why_not_buildable(snapshot, release)
    if why_not and release in snapshot.kernels.installed:
        raise NoDriverPackagesError(f"kernel {release}: {why_not}")
    versions = {name: package.version for name, package in packages.items()}
    return Kernel(release, kernel_flavour(packages, release, versions))


def why_not_buildable(snapshot: Snapshot, release: str) -> str:
    """Why DKMS cannot build the driver's modules for a kernel; empty if it can."""
    if is_real_time(release):
        return "it is a real-time kernel, which NVIDIA's driver does not support: boot another one"
    if maker(release) is Maker.OTHER and release not in snapshot.kernels.buildable:
        return (
            f"it is not from {snapshot.system.pretty_name}, and its headers "
            f"(/lib/modules/{release}/build) are not installed: install them from where the kernel "
            "comes, or boot the distribution's kernel"
        )
    return ""


def available_headers(snapshot: Snapshot, headers: tuple[str, ...]) -> tuple[str, ...]:
    """Headers of kernels that come from packages: apt does not know one built by hand."""
    release = snapshot.system.kernel
    if maker(release) is Maker.PROXMOX:
        return headers if release in snapshot.kernels.installed else ()
    if maker(release) is Maker.OTHER and release in snapshot.kernels.buildable:
        return ()
    return tuple(
        name
        for name in headers
        if {
            name.replace("headers", "image", 1),
            name.replace("headers", "image-unsigned", 1),
        }
        & snapshot.nvidia.packages.keys()
    )


def headers_of(release: str) -> str:
    """The package with the headers of one kernel."""
    return Kernel(release, None).headers[0]
