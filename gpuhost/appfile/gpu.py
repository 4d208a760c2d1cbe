"""gpu, with_gpu and without_gpu: which services need a card, and what runs without one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from gpuhost.appfile.section import MAX_GB, Profile, Section, Service, Text

DeviceId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$", title='a card in quotes, such as "0"')
]


class Gpu(Section):
    """The cards that a service needs."""

    count: Annotated[int, Field(ge=1)] | None = None
    """How many cards; default: all, unless device_ids is given."""
    device_ids: tuple[DeviceId, ...] = ()
    """Which cards, by index or UUID."""
    cuda: (
        Annotated[
            str,
            Field(pattern=r"^[0-9]+\.[0-9]+$", title='a CUDA version in quotes, such as "12.1"'),
        ]
        | None
    ) = None
    """CUDA version of the image; its own NVIDIA_REQUIRE_CUDA applies too."""
    compute_capability: (
        Annotated[
            str,
            Field(
                pattern=r"^[0-9]+\.[0-9]$", title='a compute capability in quotes, such as "7.0"'
            ),
        ]
        | None
    ) = None
    """Minimum compute capability, "7.0"."""
    vram_gb: Annotated[float, Field(gt=0, le=MAX_GB)] | None = None
    """Memory on each card; a release is refused if all apps together declare more than it has."""

    @model_validator(mode="after")
    def _count_or_ids(self) -> Gpu:
        if self.count is not None and self.device_ids:
            raise ValueError("give count or device_ids, not both")
        return self


class Variant(Section):
    """What is different with a card, or without one."""

    profiles: tuple[Profile, ...] = ()
    """Compose profiles to enable."""
    leave_out: tuple[Service, ...] = ()
    """Services that are not started."""
    environment: dict[Service, dict[str, Text]] = {}
    """Environment variables by service; they win over the Compose file."""
    disk_gb: Annotated[float, Field(ge=0, le=MAX_GB)] | None = None
    """Free disk that the builds need; default: build.disk_gb."""
