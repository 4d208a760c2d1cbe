"""MIG: parts of a card as devices of their own (NVIDIA, "MIG User Guide")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# "1g.10gb", "1g.5gb+me", "1g.24gb-me", "2g.48gb+gfx": slices of the processors and of the memory.
PROFILE = re.compile(r"(?P<slices>[1-9])g\.(?P<gb>[1-9]\d{0,3})gb(?:[+-][a-z.]+)*", re.ASCII)
_CARD = re.compile(r"GPU (\d{1,4}): ", re.ASCII)
_DEVICE = re.compile(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[0-9A-Za-z/-]+)\)", re.ASCII)


@dataclass(frozen=True)
class MigDevice:
    """One device.

    + card: the index of its card
    + profile: "3g.40gb"; "1c.3g.40gb" if its compute instance is a part of its GPU instance
    """

    card: int
    profile: str
    uuid: str

    @property
    def memory_gb(self) -> int | None:
        match = PROFILE.search(self.profile)
        return int(match["gb"]) if match else None


def parse_devices(text: str) -> tuple[MigDevice, ...]:
    """The output of `nvidia-smi -L`."""
    devices, card = [], -1
    for line in text.splitlines():
        if match := _CARD.match(line):
            card = int(match[1])
        elif (match := _DEVICE.match(line)) and card >= 0:
            devices.append(MigDevice(card, match[1], match[2]))
    return tuple(devices)


def in_order(counts: Mapping[str, int]) -> tuple[str, ...]:
    """A layout as `nvidia-smi mig -cgi` takes it: {"1g.10gb": 2} is two times 1g.10gb.

    The largest first: otherwise the driver places small instances where a 3g does not fit.
    """
    profiles = sorted(counts, key=lambda name: (-_slices(name), name))
    return tuple(name for name in profiles for _ in range(counts[name]))


def as_text(profiles: Iterable[str]) -> str:
    """A layout in words, in the order of `in_order`."""
    names = list(profiles)
    counts = {name: names.count(name) for name in names}
    return ",".join(in_order(counts))


def _slices(profile: str) -> int:
    match = PROFILE.fullmatch(profile)
    return int(match["slices"]) if match else 0
