"""`nvidia-smi -q -x` as texts by path, one report for each card. Raises nothing but BadXmlError.

The words are a host's: only the element nvidia_smi_log is parsed, so there is no DOCTYPE and no
entity; size, depth and number of values are limited.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gpuhost.domain.nvidia.actions import Action, recovery
from gpuhost.domain.nvidia.card_paths import RECOVERY
from gpuhost.domain.nvidia.pci import slot_of
from gpuhost.domain.nvidia.placeholders import BadValue, Meaning, bad_value, meaning

# Eight cards are about 100 kB without their lists of clocks.
LARGEST, DEEPEST, MOST_VALUES, MOST_CARDS = 2_000_000, 8, 2_000, 128
LOG, END = "<nvidia_smi_log>", "</nvidia_smi_log>"
NUMBER = re.compile(r"(-?\d{1,12}(?:\.\d{1,6})?)\s*(?:x|C|W|%|MiB|us|bank\(s\))?", re.ASCII)
WORDS = {"yes": True, "no": False, "active": True, "not active": False}
WORDS |= {"enabled": True, "disabled": False, "true": True, "false": False}


class BadXmlError(ValueError):
    """The output is not what nvidia-smi writes; the message says why."""


@dataclass(frozen=True)
class Report:
    """One card: its values by path, "ecc_errors/volatile/dram_uncorrectable".

    Values have other names in other drivers: every method takes all of them, and the first that
    is there counts. A list of MIG devices is left out.
    """

    bus_id: str
    texts: Mapping[str, str] = field(repr=False)

    def text(self, *paths: str) -> str:
        """The value; "": the driver prints none, or a harmless placeholder."""
        found = self._raw(paths)
        is_none = not found or meaning(found[1]) is Meaning.HARMLESS
        return "" if found is None or is_none else found[1]

    def number(self, *paths: str) -> float | None:
        return _number(self.text(*paths))

    def flag(self, *paths: str) -> bool | None:
        """Yes or No; None for anything else."""
        return _flag(self.text(*paths))

    def sum(self, *paths: str) -> int:
        """The sum of the counts that are there."""
        return int(sum(self.number(path) or 0 for path in paths))

    @property
    def recovery(self) -> Action | None:
        """What the driver requests for the card; None: it does not say, or in unknown words."""
        words = self.text(RECOVERY)
        return recovery(words) if words else None

    def bad(self, numbers: tuple[str, ...], flags: tuple[str, ...]) -> Iterator[BadValue]:
        """Values of these paths that cannot be used, without harmless placeholders."""
        reading: tuple[tuple[tuple[str, ...], Callable[[str], object]], ...]
        reading = ((numbers, _number), (flags, _flag))
        for paths, read in reading:
            for path in paths:
                text = self.texts.get(path, "")
                bad = bad_value(path, text) if read(text) is None else None
                if bad:
                    yield bad

    def _raw(self, paths: tuple[str, ...]) -> tuple[str, str] | None:
        return next(((path, self.texts[path]) for path in paths if path in self.texts), None)


def _number(text: str) -> float | None:
    match = NUMBER.fullmatch(text)
    return float(match[1]) if match else None


def _flag(text: str) -> bool | None:
    return WORDS.get(text.lower())


def parse_reports(text: str) -> tuple[Report, ...]:
    """Every card of the output, also with warnings before and after the XML.

    Raises BadXmlError.
    """
    start, end = text.find(LOG), text.rfind(END)
    if start < 0 or end < start:
        raise BadXmlError(
            f"no complete XML: {(text.strip().splitlines() or ['nothing'])[-1][:200]}"
        )
    if end - start > LARGEST:
        raise BadXmlError(f"more than {LARGEST} characters")
    try:
        # Without a DOCTYPE there are no entities to expand.
        root = ET.fromstring(text[start : end + len(END)])  # noqa: S314
    except (ET.ParseError, ValueError, RecursionError, MemoryError) as error:
        raise BadXmlError(f"its XML is not valid: {error}") from error
    gpus = root.findall("gpu")
    if len(gpus) > MOST_CARDS:
        raise BadXmlError(f"more than {MOST_CARDS} cards")
    return tuple(_report(gpu) for gpu in gpus)


def _report(gpu: ET.Element) -> Report:
    texts: dict[str, str] = {}
    for path, value in _values(gpu, ()):
        texts.setdefault(path, value)
        if len(texts) > MOST_VALUES:
            raise BadXmlError("a card has too many values")
    bus_id = texts.get("pci/pci_bus_id") or gpu.get("id") or ""
    return Report(slot_of(bus_id), texts)


def _values(element: ET.Element, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if len(above) > DEEPEST:
        raise BadXmlError("its elements are nested too deeply")
    if len(element) == 0 and above:
        yield "/".join(above), " ".join((element.text or "").split())
    for child in element:
        if child.tag != "mig_devices":
            yield from _values(child, (*above, str(child.tag)))
