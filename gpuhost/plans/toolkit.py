"""Whether a host needs the NVIDIA Container Toolkit, and what a proof of it depends on."""

from __future__ import annotations

from gpuhost.domain.modprobe import Block
from gpuhost.domain.nvidia.compute_mode import PROHIBITED, compute_modes
from gpuhost.domain.nvidia.fabric_manager import FabricManager, fabric_manager
from gpuhost.domain.toolkit.cdi import REFRESHED, STATIC, rivals
from gpuhost.domain.toolkit.cuda_causes import BY_CDI, CudaConditions
from gpuhost.domain.toolkit.packages import PACKAGES
from gpuhost.domain.toolkit.proof import Circumstances, engine_settings, hash_of, image_for
from gpuhost.plans.gpu import is_jetson, needs_gpu
from gpuhost.plans.nvidia_upkeep import FABRIC_UNIT
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.toolkit import Toolkit


def reason_not_needed(snapshot: Snapshot, settings: Settings) -> str:
    """Why this host does not need the toolkit; empty if it does."""
    if needs_gpu(snapshot, settings):
        return ""
    if settings.gpu == "none":
        return 'gpu is "none"'
    if is_jetson(snapshot):
        return "NVIDIA Jetson: its toolkit comes with JetPack"
    return "no NVIDIA card on the PCI bus"


def circumstances(snapshot: Snapshot, settings: Settings) -> Circumstances | None:
    """The versions that a proof made now would depend on; None if it cannot be made."""
    toolkit, engine, driver = snapshot.toolkit, snapshot.docker.engine, working_driver(snapshot)
    if not driver or not engine or PACKAGES[0] not in toolkit.packages:
        return None
    image = image_for(settings.toolkit_test_image, toolkit.libc)
    # Of the engine, what is in force too: daemon.json may have changed without a restart.
    in_force = (engine.cgroup_driver, engine.cgroup_version, engine.isolation)
    return Circumstances(
        driver,
        toolkit.packages[PACKAGES[0]],
        engine.version,
        image,
        hash_of(toolkit.config.lines),
        hash_of(engine_settings(snapshot.docker.config.usable), in_force),
    )


def working_driver(snapshot: Snapshot) -> str | None:
    """The version of the driver; None if it does not work."""
    return str(snapshot.nvidia.driver) if snapshot.nvidia.works else None


def cards(snapshot: Snapshot) -> int:
    """How many cards a container must see: all of the host's."""
    return len(snapshot.nvidia.gpus or snapshot.nvidia.answering)


def gives_by_cdi(snapshot: Snapshot) -> bool | None:
    """Whether --gpus gave the GPUs of the last test by CDI, not by the hook; None: not known.

    An engine of 29.2 or later does, if it has a specification: the test's container shows it.
    """
    last = snapshot.toolkit.proof
    given = last.container.given if last and last.container else None
    return None if given is None else given == BY_CDI


def is_proven(snapshot: Snapshot, settings: Settings) -> bool:
    """Whether CUDA has started in a container with the present versions and configuration."""
    last, current = snapshot.toolkit.proof, circumstances(snapshot, settings)
    if last is None or last.failure or last.container is None or current is None:
        return False
    return last.container.starts and not last.circumstances.differences(current)


def mig_is_on(snapshot: Snapshot) -> bool:
    """CUDA then sees one instance, or only the cards without MIG."""
    return any(gpu.mig for gpu in snapshot.nvidia.answering)


def kept_away(snapshot: Snapshot) -> str:
    """What keeps nvidia_uvm from being loaded, whatever the last test said; "": nothing, or it is
    loaded."""
    if "nvidia_uvm" in snapshot.nvidia.loaded_modules:
        return ""
    lines = (line for line in snapshot.kernels.driver_blocks if line.block is Block.ALWAYS)
    return next((str(line) for line in lines if line.module.endswith("_uvm")), "")


def prohibited_cards(snapshot: Snapshot) -> list[str]:
    """Cards on which CUDA starts, and no program can use it: nvidia-smi -c 2."""
    modes = compute_modes(snapshot.probes.get("nvidia_smi").out)
    return [str(index) for index, mode in enumerate(modes) if mode == PROHIBITED]


def cuda_conditions(snapshot: Snapshot, *, in_container: bool) -> CudaConditions:
    """What may keep CUDA from starting on this host, as it is now."""
    needs_fabric = fabric_manager(snapshot.nvidia.devices) is not FabricManager.NOT_NEEDED
    return CudaConditions(
        in_container=in_container,
        driver=working_driver(snapshot) or "",
        modprobe_line=snapshot.kernels.driver_off,
        fabric_manager=needs_fabric and not snapshot.nvidia.unit(FABRIC_UNIT).active,
        mig_is_empty=mig_is_on(snapshot) and not snapshot.toolkit.mig_instances,
        no_cgroups=snapshot.toolkit.config.no_cgroups,
    )


def specification_path(toolkit: Toolkit) -> str:
    """Where the CDI specification must be."""
    return REFRESHED if toolkit.refresh else STATIC


def cdi_rivals(snapshot: Snapshot) -> tuple[str, ...]:
    """Files that name the same devices as the specification: the engine then takes neither."""
    toolkit = snapshot.toolkit
    found = rivals(toolkit.specifications.values(), specification_path(toolkit))
    return tuple(one.path for one in found)
