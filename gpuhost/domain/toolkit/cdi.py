"""The CDI specification: which driver and which devices it gives to containers."""

from __future__ import annotations

import re
from dataclasses import dataclass

# nvidia-cdi-refresh, which packages have since 1.18, writes the first; the directory is empty after
# a boot, so that older versions, which nothing refreshes, need the second.
REFRESHED = "/var/run/cdi/nvidia.yaml"
STATIC = "/etc/cdi/nvidia.yaml"

LIBRARY = re.compile(r"lib(?:cuda|nvidia-ml)\.so\.(\d{3,4}(?:\.\d+){1,2})", re.ASCII)
DEVICE = re.compile(r"""[\s-]*["']?name["']?:\s*["']?([^"',\s]+)["']?,?\s*""")
# The n-th MIG instance of a card; the same device is also there under its UUID.
MIG_DEVICE = re.compile(r"\d+:\d+", re.ASCII)


@dataclass(frozen=True)
class Specification:
    """One file.

    + drivers: versions of the driver whose libraries it mounts; none if it names none
    + devices: names of the devices, "0", "0:1" (MIG), "GPU-…", "all"
    """

    path: str
    drivers: frozenset[str]
    devices: frozenset[str]

    @property
    def mig_instances(self) -> int:
        return sum(1 for name in self.devices if MIG_DEVICE.fullmatch(name))


def specifications(output: str) -> dict[str, Specification]:
    """The files by path, from the lines that `grep -H` found in them: libraries and names."""
    lines: dict[str, list[str]] = {}
    for line in output.splitlines():
        path, colon, text = line.partition(":")
        if colon and path in (REFRESHED, STATIC):
            lines.setdefault(path, []).append(text)
    return {path: _specification(path, names) for path, names in lines.items()}


def _specification(path: str, lines: list[str]) -> Specification:
    names = (DEVICE.fullmatch(line) for line in lines)
    return Specification(
        path,
        drivers=frozenset(version for line in lines for version in LIBRARY.findall(line)),
        devices=frozenset(name[1] for name in names if name),
    )
