"""The kernel for which the driver's modules are built, and its headers."""

from __future__ import annotations

from gpuhost.domain.nvidia.driver_choice import NoDriverPackagesError
from gpuhost.domain.nvidia.kernel import Kernel, Maker, is_real_time, kernel_flavour, maker
from gpuhost.snapshot import Snapshot


def kernel_to_build_for(snapshot: Snapshot) -> Kernel:
    """The running kernel, or the next one if the running one is not on disk any more.

    Raises NoDriverPackagesError if no driver can be built for it.
    """
    kernels, release = snapshot.kernels, snapshot.system.kernel
    if release not in kernels.installed:
        release = kernels.next or release
    why_not = why_not_buildable(snapshot, release)
    if why_not and release in kernels.installed:
        raise NoDriverPackagesError(f"kernel {release}: {why_not}")
    return _kernel(snapshot, release)


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


def headers_to_install(snapshot: Snapshot, kernel: Kernel, headers: tuple[str, ...]) -> list[str]:
    """The headers of the kernel and of the next boot's, as far as apt knows them.

    + headers: the kernel's, which a plan needs; empty if its modules come ready-made
    """
    following = snapshot.kernels.next
    if not headers:
        return []
    wanted = [*headers, *(headers_of(snapshot, following) if following else ())]
    return [name for name in dict.fromkeys(wanted) if _is_known(snapshot, kernel, name)]


def _is_known(snapshot: Snapshot, kernel: Kernel, headers: str) -> bool:
    """apt does not know the headers of a kernel that was built by hand."""
    if maker(kernel.release) is Maker.PROXMOX:
        return kernel.release in snapshot.kernels.installed
    if maker(kernel.release) is Maker.OTHER and kernel.release in snapshot.kernels.buildable:
        return False
    images = {headers.replace("headers", word, 1) for word in ("image", "image-unsigned")}
    return bool(images & snapshot.nvidia.packages.keys())


def headers_of(snapshot: Snapshot, release: str) -> tuple[str, ...]:
    """The headers of an installed kernel and, through its metapackage, of every later one."""
    return _kernel(snapshot, release).headers


def _kernel(snapshot: Snapshot, release: str) -> Kernel:
    packages = snapshot.nvidia.packages
    versions = {name: package.version for name, package in packages.items()}
    return Kernel(release, kernel_flavour(packages, release, versions))
