"""What keeps NVIDIA's driver from a card: other drivers, and modprobe's configuration."""

from __future__ import annotations

from gpuhost.domain.nvidia.pci import card_of_device
from gpuhost.domain.nvidia.rivals import RIVALS, may_claim, rival_of
from gpuhost.snapshot import Snapshot


def strange_holders(snapshot: Snapshot) -> str:
    """The cards that a driver holds which gpuhost does not know: "foo holds 0000:84:00.0"."""
    return ", ".join(
        f"{gpu.driver} holds {gpu.slot}"
        for gpu in snapshot.nvidia.held_by_others
        if gpu.driver and rival_of(gpu.driver) is None
    )


def rivals_at_next_boot(snapshot: Snapshot) -> tuple[str, ...]:
    """The modules that the kernel of the next boot may load for a card, instead of NVIDIA's.

    All its kernels count while it is unknown which one boots.
    """
    kernels = snapshot.kernels
    releases = [kernels.next] if kernels.next else list(kernels.installed)
    present = {module for release in releases for module in kernels.rivals.get(release, ())}
    cards = [card_of_device(gpu.device) for gpu in snapshot.nvidia.gpus]
    return tuple(
        module
        for rival in RIVALS
        if rival.modules[0] in present - kernels.blocked and may_claim(rival, cards)
        for module in rival.modules
    )


def rivals_to_block(snapshot: Snapshot) -> bool:
    """Whether a module that holds a card, or may at the next boot, is not kept off yet."""
    rival, kernels = snapshot.nvidia.rival, snapshot.kernels
    holds = rival is not None and rival.modules[0] not in kernels.blocked
    return bool(rivals_at_next_boot(snapshot)) or (holds and snapshot.nvidia.module is None)


def blocked_by(snapshot: Snapshot) -> str:
    """The line of modprobe's configuration that keeps the driver away; "": none does.

    A line that closes only one of two ways does so while the driver is not loaded.
    """
    kernels, nvidia = snapshot.kernels, snapshot.nvidia
    is_loaded = nvidia.works or nvidia.module is not None
    return kernels.driver_off or ("" if is_loaded else kernels.driver_not_by_itself)
