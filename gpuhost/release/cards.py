"""Which of a host's cards fit what a service needs, and why the others do not."""

from __future__ import annotations

from gpuhost.appfile.gpu import Gpu as Needed
from gpuhost.domain.nvidia.cuda import decide
from gpuhost.domain.nvidia.smi import Gpu
from gpuhost.domain.nvidia.version import ComputeCapability, CudaVersion, DriverVersion
from gpuhost.snapshot import Snapshot

# A card that is sold as 24 GB shows 22.5 GiB with ECC on: memory is declared as it is sold.
AS_SOLD = 0.9
MIB_IN_GIB = 1024


def mismatch(gpu: Gpu, needed: Needed, snapshot: Snapshot) -> str:
    """Why a card does not do, "" if it does.

    It goes on with "wanted by service app": "compute capability 6.1 of Tesla P40 < 7.0".
    """
    return (
        _capability_misfit(gpu, needed.compute_capability)
        or _memory_misfit(gpu, needed.vram_gb)
        or _cuda_misfit(gpu, needed.cuda, snapshot)
    )


def has_id(gpu: Gpu, device: str) -> bool:
    """Whether a device id, an index or a UUID, is this card's."""
    if device.isascii() and device.isdigit():
        return int(device) == gpu.index
    return device.lower() == gpu.uuid.lower()


def compute_capability(gpu: Gpu) -> ComputeCapability | None:
    """What the card reports, else what is known of its model."""
    try:
        return ComputeCapability.parse(gpu.compute_capability or "")
    except ValueError:
        return gpu.card.architecture.capability if gpu.card else None


def _capability_misfit(gpu: Gpu, wanted: str | None) -> str:
    if wanted is None:
        return ""
    has = compute_capability(gpu)
    if has is None:
        return f"the compute capability of {gpu.name} is not known, {wanted}"
    if has < ComputeCapability.parse(wanted):
        return f"compute capability {has} of {gpu.name} < {wanted}"
    return ""


def _memory_misfit(gpu: Gpu, wanted_gb: float | None) -> str:
    if wanted_gb is None:
        return ""
    if gpu.memory_total_mib is None:
        return f"the memory of {gpu.name} is not known, {wanted_gb:g} GB"
    if gpu.memory_total_mib < wanted_gb * MIB_IN_GIB * AS_SOLD:
        return f"{gpu.memory_total_mib / MIB_IN_GIB:.1f} GB of {gpu.name} < {wanted_gb:g} GB"
    return ""


def _cuda_misfit(gpu: Gpu, wanted: str | None, snapshot: Snapshot) -> str:
    if wanted is None:
        return ""
    cuda = CudaVersion.parse(wanted)
    if gpu.card is None:
        return _unknown_card_misfit(gpu.name, gpu.driver, cuda, snapshot.nvidia.header.cuda)
    decision = decide(gpu.driver, [gpu.card], cuda)
    return "" if decision.rule.runs else f"{decision.reason} CUDA {wanted} is"


def _unknown_card_misfit(
    name: str, driver: DriverVersion, wanted: CudaVersion, brings: CudaVersion | None
) -> str:
    """A card newer than the table: what its driver says of itself has to do."""
    if brings is not None and brings >= wanted.release:
        return ""
    return f"driver {driver} of {name} brings CUDA {brings or 'of no known version'} < {wanted}"
