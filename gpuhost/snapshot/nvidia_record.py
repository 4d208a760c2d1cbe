"""What gpuhost changed for the NVIDIA driver, from its record on the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpuhost.domain import host_json
from gpuhost.snapshot.request import Request

NVIDIA_RECORD = "/var/lib/gpuhost/nvidia.json"
REQUEST = Request(files=(NVIDIA_RECORD,))


@dataclass(frozen=True)
class NvidiaRecord:
    """The content of the record.

    + packages: the driver packages that gpuhost installed, or began to install
    + held: the packages that gpuhost put on hold
    + mig: the layout that gpuhost made on each card, by UUID: "3g.40gb,3g.40gb"
    + rebooted_for: the installed packages for which gpuhost rebooted (plans.nvidia_upkeep)
    """

    packages: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    rebooted_for: str = ""
    mig: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> NvidiaRecord:
        try:
            values = host_json.parse(text)
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(values, dict):
            return cls()
        return cls(
            _names(values.get("packages")),
            _names(values.get("held")),
            str(values.get("rebooted_for") or ""),
            _texts(values.get("mig")),
        )


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _texts(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
