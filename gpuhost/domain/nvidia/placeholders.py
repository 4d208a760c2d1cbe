"""What nvidia-smi prints in place of a value, and what it means.

Texts: NVML's own (`nvmlErrorString`), which nvidia-smi puts in brackets in a query, and its `ERR!`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Meaning(Enum):
    """Of a text that stands where a value should be."""

    HARMLESS = "the card has no such value"
    RESET = "the card requires a reset"
    LOST = "the driver has lost the card"
    FAULT = "the card could not be read"
    UNKNOWN = "the value could not be read"

    @property
    def is_fault(self) -> bool:
        return self in (Meaning.RESET, Meaning.LOST, Meaning.FAULT)


@dataclass(frozen=True)
class BadValue:
    """A value that is missing for a reason that is not harmless.

    + field: its name in nvidia-smi, "memory.total"
    + text: what is printed there, "[GPU requires reset]"
    """

    field: str
    text: str
    meaning: Meaning

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


# Drivers since R570 print "deprecated" for fields such as gpu_reset_status.
TEXTS = {
    "": Meaning.HARMLESS,
    "N/A": Meaning.HARMLESS,
    "NOT SUPPORTED": Meaning.HARMLESS,
    "REQUESTED FUNCTIONALITY HAS BEEN DEPRECATED": Meaning.HARMLESS,
    "GPU REQUIRES RESET": Meaning.RESET,
    "GPU IS LOST": Meaning.LOST,
    "GPU LOST": Meaning.LOST,
    "ERR!": Meaning.FAULT,
    "ERR": Meaning.FAULT,
    "UNKNOWN ERROR": Meaning.FAULT,
    "TIMEOUT": Meaning.FAULT,
    "INSUFFICIENT EXTERNAL POWER": Meaning.FAULT,
    "INTERRUPT REQUEST ISSUE": Meaning.FAULT,
}


def meaning(text: str) -> Meaning:
    """What a text means that is no value; of one that nobody knows: UNKNOWN, never harmless."""
    bare = text.strip().removeprefix("[").removesuffix("]").strip()
    return TEXTS.get(bare.upper(), Meaning.UNKNOWN)


def bad_value(field: str, text: str) -> BadValue | None:
    """The complaint about a text that is no value; None if it is harmless."""
    found = meaning(text)
    # Words of the host: a few characters are enough to find it in nvidia-smi's own output.
    return None if found is Meaning.HARMLESS else BadValue(field, text.strip()[:60], found)
