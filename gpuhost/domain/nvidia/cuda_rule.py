"""The rules by which containers with a CUDA run, or not: NVIDIA, "CUDA Compatibility"."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from gpuhost.domain.nvidia.cards import Card
from gpuhost.domain.nvidia.toolkits import driver_cuda
from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion


class Rule(Enum):
    """The rule that decided, in the order in which they are tried."""

    NO_CARD = "no card"
    NO_DRIVER = "no driver"
    CARD_TOO_OLD = "card too old for that CUDA"
    CARD_TOO_NEW = "card too new for that CUDA"
    DRIVER_UNFIT = "driver does not drive the card"
    NATIVE = "native"
    MINOR_COMPAT = "minor-version compatibility"
    FORWARD_COMPAT = "forward compatibility"
    UPGRADE = "driver too old"

    @property
    def runs(self) -> bool:
        """Whether containers with the requested CUDA run."""
        return self in (Rule.NATIVE, Rule.MINOR_COMPAT, Rule.FORWARD_COMPAT)


def crosses_major(driver: DriverVersion | None, requested: CudaVersion) -> bool:
    own = driver_cuda(driver) if driver else None
    return own is not None and own.major < requested.major


def are_data_center(cards: Sequence[Card]) -> bool:
    return all(card.data_center for card in cards)
