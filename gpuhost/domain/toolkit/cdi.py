"""The CDI specification: which driver and which devices it gives to containers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# nvidia-cdi-refresh, which packages have since 1.18, writes the first; the directory is empty after
# a boot, so that older versions, which nothing refreshes, need the second.
REFRESHED = "/var/run/cdi/nvidia.yaml"
STATIC = "/etc/cdi/nvidia.yaml"

# The engine reads every file in these; the second directory's devices replace the first one's. Of
# two files in one directory with the same device, none counts (container-device-interface,
# pkg/cdi/cache.go).
DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
KIND = "nvidia.com/gpu"
FILE = re.compile(r"(/etc/cdi|/var/run/cdi)/[^/:]+\.(?:yaml|json)")
KIND_LINE = re.compile(r"""["']?kind["']?:\s*["']?([^"',\s]+)["']?,?\s*""")

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
    def directory(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def mig_instances(self) -> int:
        return sum(1 for name in self.devices if MIG_DEVICE.fullmatch(name))


def specifications(output: str) -> dict[str, Specification]:
    """The files for NVIDIA's cards by path, from the lines that `grep -H` found in them: libraries,
    names, and the kind of device."""
    lines: dict[str, list[str]] = {}
    for line in output.splitlines():
        path, colon, text = line.partition(":")
        if colon and FILE.fullmatch(path):
            lines.setdefault(path, []).append(text)
    return {
        path: _specification(path, texts)
        for path, texts in lines.items()
        if _kind(texts) == KIND or (_kind(texts) is None and path in (REFRESHED, STATIC))
    }


def _kind(lines: list[str]) -> str | None:
    kinds = (KIND_LINE.fullmatch(line.strip()) for line in lines)
    return next((match[1] for match in kinds if match), None)


def rivals(found: Iterable[Specification], path: str) -> tuple[Specification, ...]:
    """Other files in the directory of this one that name some of its devices."""
    files = sorted(found, key=lambda one: one.path)
    own = next((one for one in files if one.path == path), None)
    if own is None:
        return ()
    beside = (one for one in files if one.directory == own.directory and one is not own)
    return tuple(one for one in beside if one.devices & own.devices)


def _specification(path: str, lines: list[str]) -> Specification:
    names = (DEVICE.fullmatch(line) for line in lines)
    return Specification(
        path,
        drivers=frozenset(version for line in lines for version in LIBRARY.findall(line)),
        devices=frozenset(name[1] for name in names if name),
    )
