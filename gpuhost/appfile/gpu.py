"""gpu, with_gpu and without_gpu: what needs a card, and what runs where there is none."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from gpuhost.appfile.section import MOST_GB, Profile, Section, Service, Text

DeviceId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$", title='a card in quotes, such as "0"')
]


class Gpu(Section):
    """What a service needs of the host's cards."""

    count: Annotated[int, Field(ge=1)] | None = None
    """How many cards; all of them if neither count nor device_ids is given."""
    device_ids: tuple[DeviceId, ...] = ()
    """Which cards, by index or UUID."""
    cuda: (
        Annotated[
            str,
            Field(pattern=r"^[0-9]+\.[0-9]+$", title='a CUDA version in quotes, such as "12.1"'),
        ]
        | None
    ) = None
    """CUDA version of the image; the image's own NVIDIA_REQUIRE_CUDA is obeyed as well."""
    compute_capability: (
        Annotated[
            str,
            Field(
                pattern=r"^[0-9]+\.[0-9]$", title='a compute capability in quotes, such as "7.0"'
            ),
        ]
        | None
    ) = None
    """The least compute capability, "7.0"."""
    vram_gb: Annotated[float, Field(gt=0, le=MOST_GB)] | None = None
    """The least memory of the card."""

    @model_validator(mode="after")
    def _count_or_ids(self) -> Gpu:
        if self.count is not None and self.device_ids:
            raise ValueError("give count or device_ids, not both")
        return self


class Variant(Section):
    """How the app differs with a card, or without one."""

    profiles: tuple[Profile, ...] = ()
    """Compose profiles that are switched on."""
    leave_out: tuple[Service, ...] = ()
    """Services that are not started."""
    environment: dict[Service, dict[str, Text]] = {}
    """Environment of services, over that of the Compose file."""
