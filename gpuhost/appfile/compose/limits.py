"""Limits that matter to programs on cards, as a service declares them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuhost.domain.docker.ulimits import Limit, limit

SHM = "/dev/shm"  # noqa: S108
INFINIBAND = "/dev/infiniband"
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE | re.ASCII)
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True)
class DeclaredLimits:
    """The limits of one service.

    + shm_bytes: the size of its /dev/shm; None: not declared, or a variable
    + own_shm: its /dev/shm is not the engine's default: a size, the host's, or a mount
    + ulimits: by name; None: declared with a variable
    + rdma: it gets the host's InfiniBand devices
    """

    shm_bytes: int | None = None
    own_shm: bool = False
    ulimits: Mapping[str, Limit | None] = field(default_factory=dict)
    rdma: bool = False


def declared_limits(service: Mapping[str, Any]) -> DeclaredLimits:
    shared = service.get("ipc") not in (None, "", "private", "shareable", "none")
    mounts = [*_texts(service.get("tmpfs")), *_targets(service.get("volumes"))]
    mounted = any(mount.partition(":")[0] == SHM for mount in mounts)
    return DeclaredLimits(
        shm_bytes=_bytes(service.get("shm_size")),
        own_shm=service.get("shm_size") is not None or shared or mounted,
        ulimits=_ulimits(service.get("ulimits")),
        rdma=any(source.startswith(INFINIBAND) for source in _texts(service.get("devices"))),
    )


def _ulimits(value: Any) -> dict[str, Limit | None]:
    """`nofile: 1024` is both limits, `nofile: {soft: 1024, hard: 4096}` one each."""
    written = value if isinstance(value, Mapping) else {}
    return {
        str(name): limit(one.get("soft"), one.get("hard"))
        if isinstance(one, Mapping)
        else limit(one, one)
        for name, one in written.items()
    }


def _bytes(value: Any) -> int | None:
    match = SIZE.fullmatch(str(value).strip()) if isinstance(value, (str, int)) else None
    return int(float(match[1]) * UNITS[match[2].lower()]) if match else None


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


def _targets(value: Any) -> list[str]:
    """Where volumes are mounted: "/dev/shm:/dev/shm", or {target: /dev/shm}."""
    values = value if isinstance(value, list) else []
    short = [one.partition(":")[2] for one in _texts(values)]
    return short + [str(one.get("target")) for one in values if isinstance(one, Mapping)]
