"""Which cards of a host meet the needs of a service, and why others do not."""

from __future__ import annotations

from gpuhost.appfile.gpu import Gpu as GpuNeed
from gpuhost.domain.nvidia.cuda import decide
from gpuhost.domain.nvidia.smi import Gpu
from gpuhost.domain.nvidia.version import ComputeCapability, CudaVersion, DriverVersion
from gpuhost.snapshot import Snapshot

# A card sold as 24 GB reports 22.5 GiB with ECC on; app files state the advertised size.
ADVERTISED = 0.9
MIB_IN_GIB = 1024


def mismatch(gpu: Gpu, need: GpuNeed, snapshot: Snapshot) -> str:
    """Why a card does not meet the need; "" if it does.

    The caller appends "required by service app": "compute capability 6.1 of Tesla P40 < 7.0".
    """
    return (
        _capability_mismatch(gpu, need.compute_capability)
        or _memory_mismatch(gpu, need.vram_gb)
        or _cuda_mismatch(gpu, need.cuda, snapshot)
    )


def unread(gpu: Gpu, need: GpuNeed) -> str:
    """A value that the need is about, and that the card did not give; "" if there is none.

    A card without such a value is something else.
    """
    needed = {"memory.total": need.vram_gb, "compute_cap": need.compute_capability}
    bad = [one for one in gpu.bad if needed.get(one.field)]
    return f"{gpu.name}, {bad[0]}" if bad else ""


def has_id(gpu: Gpu, device: str) -> bool:
    """Whether a device ID, an index or a UUID, is this card's."""
    if device.isascii() and device.isdigit():
        return int(device) == gpu.index
    return device.lower() == gpu.uuid.lower()


def cards_of(count: int | None, device_ids: tuple[str, ...], snapshot: Snapshot) -> list[Gpu]:
    """The cards that Docker gives: those of the IDs, or the first ones, or all."""
    gpus = snapshot.nvidia.answering
    if not device_ids:
        return list(gpus[:count])
    mig = {
        device.card for device in snapshot.nvidia_health.mig_devices if device.uuid in device_ids
    }
    return [
        gpu for gpu in gpus if gpu.index in mig or any(has_id(gpu, device) for device in device_ids)
    ]


def compute_capability(gpu: Gpu) -> ComputeCapability | None:
    """The value that the card reports, else the known value of its model."""
    try:
        return ComputeCapability.parse(gpu.compute_capability or "")
    except ValueError:
        return gpu.card.architecture.capability if gpu.card else None


def _capability_mismatch(gpu: Gpu, required: str | None) -> str:
    if required is None:
        return ""
    has = compute_capability(gpu)
    if has is None:
        return f"the compute capability of {gpu.name} is unknown, {required}"
    if has < ComputeCapability.parse(required):
        return f"compute capability {has} of {gpu.name} < {required}"
    return ""


def _memory_mismatch(gpu: Gpu, required_gb: float | None) -> str:
    if required_gb is None:
        return ""
    if gpu.memory_total_mib is None:
        return f"the memory of {gpu.name} is unknown, {required_gb:g} GB"
    if gpu.memory_total_mib < required_gb * MIB_IN_GIB * ADVERTISED:
        return f"{gpu.memory_total_mib / MIB_IN_GIB:.1f} GB of {gpu.name} < {required_gb:g} GB"
    return ""


def _cuda_mismatch(gpu: Gpu, required: str | None, snapshot: Snapshot) -> str:
    if required is None:
        return ""
    cuda = CudaVersion.parse(required)
    if gpu.card is None:
        return _unknown_card_mismatch(gpu.name, gpu.driver, cuda, snapshot.nvidia.header.cuda)
    decision = decide(gpu.driver, [gpu.card], cuda)
    return "" if decision.rule.runs else f"{decision.reason} CUDA {required} is"


def _unknown_card_mismatch(
    name: str, driver: DriverVersion, required: CudaVersion, supported: CudaVersion | None
) -> str:
    """A card newer than the table: compare with the CUDA version that its driver reports."""
    if supported is not None and supported >= required.release:
        return ""
    return (
        f"driver {driver} of {name} supports CUDA {supported or 'of unknown version'} < {required}"
    )
