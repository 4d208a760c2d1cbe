"""The architectures by compute capability: which CUDA, drivers and kernel modules they need."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gpuhost.domain.nvidia.version import ComputeCapability, CudaVersion


class Modules(Enum):
    """Which kernel modules drive a card."""

    PROPRIETARY = "proprietary"
    EITHER = "proprietary or open"
    OPEN = "open"


@dataclass(frozen=True)
class Architecture:
    """One compute capability.

    + first_cuda: the first CUDA whose compiler knows it
    + runs_from: the first CUDA with binaries of the same major capability, which it runs too
      (CUDA C++ programming guide, "Binary Compatibility")
    + last_cuda: the last CUDA that supports it; None: still supported
    + first_branch: the first driver branch that drives it
    + last_branch: the last one; None: still supported
    """

    name: str
    capability: ComputeCapability
    first_cuda: CudaVersion
    runs_from: CudaVersion
    last_cuda: CudaVersion | None
    first_branch: int
    last_branch: int | None
    modules: Modules

    def __str__(self) -> str:
        return f"{self.name} ({self.capability})"


def _row(
    name: str,
    capability: str,
    cuda: tuple[str, str, str | None],
    branches: tuple[int, int | None],
    modules: Modules,
) -> Architecture:
    first, runs_from, last = cuda
    return Architecture(
        name,
        ComputeCapability.parse(capability),
        CudaVersion.parse(first),
        CudaVersion.parse(runs_from),
        CudaVersion.parse(last) if last else None,
        branches[0],
        branches[1],
        modules,
    )


# Capabilities: developer.nvidia.com/cuda-gpus and /cuda-legacy-gpus.
# Last CUDA: CUDA 13.0 release notes, "offline compilation and library support for Maxwell, Pascal
# and Volta removed"; CUDA 12.0 release notes, the same for Kepler (3.0: CUDA 11.0); CUDA 9.0 for
# Fermi, 7.0 for the Tesla architecture.
# Last branch: NVIDIA's Unix driver release schedule (R340 for the Tesla architecture, R390 for
# Fermi, R470 for Kepler; R580 for Maxwell, Pascal and Volta). First branch: the driver of the first
# CUDA that knows the chip (release notes, table 3).
# Modules: NVIDIA technical blog, "Transitions fully towards open-source GPU kernel modules" (2024).
ARCHITECTURES = (
    _row("Tesla", "1.0", ("1.0", "1.0", "6.5"), (100, 340), Modules.PROPRIETARY),
    _row("Fermi", "2.0", ("3.0", "3.0", "8.0"), (195, 390), Modules.PROPRIETARY),
    _row("Kepler", "3.0", ("4.2", "4.2", "10.2"), (295, 470), Modules.PROPRIETARY),
    _row("Kepler", "3.5", ("5.0", "5.0", "11.8"), (304, 470), Modules.PROPRIETARY),
    _row("Kepler", "3.7", ("6.5", "5.0", "11.8"), (340, 470), Modules.PROPRIETARY),
    _row("Maxwell", "5.0", ("6.0", "6.0", "12.9"), (331, 580), Modules.PROPRIETARY),
    _row("Maxwell", "5.2", ("6.5", "6.0", "12.9"), (343, 580), Modules.PROPRIETARY),
    _row("Pascal", "6.0", ("8.0", "8.0", "12.9"), (375, 580), Modules.PROPRIETARY),
    _row("Pascal", "6.1", ("8.0", "8.0", "12.9"), (375, 580), Modules.PROPRIETARY),
    _row("Volta", "7.0", ("9.0", "9.0", "12.9"), (384, 580), Modules.PROPRIETARY),
    _row("Turing", "7.5", ("10.0", "9.0", None), (410, None), Modules.EITHER),
    _row("Ampere", "8.0", ("11.0", "11.0", None), (450, None), Modules.EITHER),
    _row("Ampere", "8.6", ("11.1", "11.0", None), (455, None), Modules.EITHER),
    _row("Ada", "8.9", ("11.8", "11.0", None), (520, None), Modules.EITHER),
    _row("Hopper", "9.0", ("11.8", "11.8", None), (520, None), Modules.EITHER),
    _row("Blackwell", "10.0", ("12.8", "12.8", None), (570, None), Modules.OPEN),
    _row("Blackwell", "10.3", ("12.9", "12.8", None), (575, None), Modules.OPEN),
    _row("Blackwell", "11.0", ("13.0", "13.0", None), (580, None), Modules.OPEN),
    _row("Blackwell", "12.0", ("12.8", "12.8", None), (570, None), Modules.OPEN),
    _row("Blackwell", "12.1", ("12.9", "12.8", None), (580, None), Modules.OPEN),
)

_BY_CAPABILITY = {architecture.capability: architecture for architecture in ARCHITECTURES}


def architecture(capability: ComputeCapability) -> Architecture | None:
    """The architecture of a compute capability; None when it is not in the table."""
    return _BY_CAPABILITY.get(capability)
