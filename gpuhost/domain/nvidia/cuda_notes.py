"""What a person should know besides the decision: limits of compatibility, and NVIDIA's images."""

from __future__ import annotations

from collections.abc import Sequence

from gpuhost.domain.nvidia.architectures import Modules
from gpuhost.domain.nvidia.cards import Card
from gpuhost.domain.nvidia.cuda_rule import Rule, are_data_center, crosses_major
from gpuhost.domain.nvidia.image_gate import Gate, image_gate, published_requirement
from gpuhost.domain.nvidia.version import ComputeCapability, CudaVersion, DriverVersion


def notes_for(
    rule: Rule, driver: DriverVersion | None, cards: Sequence[Card], requested: CudaVersion
) -> list[str]:
    notes = []
    if any(card.modules is Modules.OPEN for card in cards):
        notes.append("This card needs the open kernel modules.")
    if any(card.architecture.name == "Kepler" for card in cards):
        notes.append("Kepler: branch 470 is its last driver and CUDA 11.8 its last CUDA.")
    if rule.runs and any(requested.release < card.architecture.first_cuda for card in cards):
        notes.append(
            f"CUDA {requested} does not know this card; it runs code for older chips "
            "of the same major compute capability."
        )
    # PyTorch issue tracker, RFC 190385 and the 2.8 release notes.
    old = [card for card in cards if card.architecture.capability < ComputeCapability(7, 5)]
    if old and requested >= CudaVersion(12, 8):
        notes.append(f"PyTorch's wheels for the {old[0].model} are those of CUDA 12.6 (cu126).")
    if rule is Rule.MINOR_COMPAT:
        notes.append(
            "Minor-version compatibility cannot compile newer PTX, and functions that are new in "
            f"CUDA {requested.release} fail."
        )
    if driver is not None and rule in (Rule.MINOR_COMPAT, Rule.FORWARD_COMPAT):
        notes += _gate_notes(driver, refusing_card(rule, driver, cards, requested), requested)
    if rule is Rule.UPGRADE and crosses_major(driver, requested) and not are_data_center(cards):
        notes.append(
            "Images with cuda-compat fail here with error 804: forward compatibility is for "
            "data-center cards."
        )
    return notes


def refusing_card(
    rule: Rule, driver: DriverVersion | None, cards: Sequence[Card], requested: CudaVersion
) -> Card | None:
    requirement = published_requirement(requested)
    if driver is None or requirement is None:
        return None
    if rule not in (Rule.MINOR_COMPAT, Rule.FORWARD_COMPAT):
        return None
    return next(
        (
            card
            for card in cards
            if image_gate(requirement, driver, card.brand).gate is Gate.REFUSES
        ),
        None,
    )


def _gate_notes(driver: DriverVersion, refused: Card | None, requested: CudaVersion) -> list[str]:
    if published_requirement(requested) is None:
        return []
    if refused is None:
        return [
            f"NVIDIA's images of CUDA {requested.release} accept driver branch {driver.branch}."
        ]
    return [
        f"NVIDIA's images of CUDA {requested.release} refuse driver branch {driver.branch} on the "
        f"{refused.model} where the hook checks: set NVIDIA_DISABLE_REQUIRE=1 on the container, "
        "or upgrade the driver."
    ]
