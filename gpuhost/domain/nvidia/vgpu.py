"""Virtual GPUs: a share of a card, which a hypervisor gives to a virtual machine.

Such a guest shows the PCI id of the whole card; only the name that its driver prints, with the
profile at its end ("GRID V100D-8C", "NVIDIA A100-1-5C"), tells them apart.
"""

from __future__ import annotations

import re

# NVIDIA vGPU software documentation, "Virtual GPU types": MODEL-[slices-]SIZE, then the series:
# Q workstation, C compute, B virtual PC, A applications; ME: with media engines.
PROFILE = re.compile(
    r"(?:NVIDIA |GRID )*(?P<model>[A-Z0-9][A-Za-z0-9 -]*?)"
    r"-(?:\d{1,2}-)?\d{1,3}(?:[QCA]|B\d?)(?:ME)?",
    re.ASCII,
)
# There the models have letters behind them for memory, form and variant: V100DX, A100D, RTX6000P.
VARIANT = re.compile(r"(?P<model>[A-Z]*\d+)(?:DX|XM|XL|[DXLPCSM])?")
GRID_DRIVER = (
    "a vGPU needs NVIDIA's GRID guest driver, of the version that its hypervisor's vGPU manager "
    "supports: get it from the provider of this virtual machine, or from NVIDIA's licensing portal"
)


def profile(name: str) -> str:
    """The vGPU type in a name of nvidia-smi, "V100D-8C"; "": the name is that of a whole card."""
    match = PROFILE.fullmatch(name.strip())
    if match is None:
        return ""
    return name.strip()[match.start("model") :]


def models(name: str) -> tuple[str, ...]:
    """The models that the physical card may have, likeliest first.

    **Example:** ``models("GRID RTX6000-24Q")`` contains "RTX 6000".
    """
    match = PROFILE.fullmatch(name.strip())
    if match is None:
        return ()
    model = match["model"].strip()
    first, _, rest = model.partition("-")
    variant = VARIANT.fullmatch(first)
    names = [first, variant["model"]] if variant else [first]
    spaced = [re.sub(r"^RTX(?=A?\d)", "RTX ", each) for each in names]
    suffix = f" {rest.replace('-', ' ')}" if rest else ""
    return (*(f"{each}{suffix}" for each in spaced), model)
