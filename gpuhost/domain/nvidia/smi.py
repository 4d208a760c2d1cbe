"""What nvidia-smi and the kernel module print, as data. Nothing here raises on any text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gpuhost.domain.nvidia.cards import Card, identify
from gpuhost.domain.nvidia.pci import slot_of
from gpuhost.domain.nvidia.placeholders import BadValue, Meaning, bad_value
from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion

# One field that the driver does not know fails the whole query, and `compute_cap` is missing before
# R510: query with both lists, in this order; the first that the driver accepts counts.
# Field names: `nvidia-smi --help-query-gpu`.
QUERY_FIELDS = (
    "index",
    "uuid",
    "name",
    "driver_version",
    "memory.total",
    "memory.used",
    "compute_cap",
    "mig.mode.current",
    "ecc.mode.current",
    "persistence_mode",
    "pci.bus_id",
    "temperature.gpu",
    "utilization.gpu",
    "power.draw",
)
QUERY_FIELDS_BEFORE_R510 = tuple(field for field in QUERY_FIELDS if field != "compute_cap")
QUERIES = (QUERY_FIELDS, QUERY_FIELDS_BEFORE_R510)

# Since R610 the header says "KMD Version" and "CUDA UMD Version".
HEADER_DRIVER = re.compile(r"(?:Driver|KMD) Version:\s*(\d[\d.]*)", re.ASCII)
HEADER_CUDA = re.compile(r"CUDA(?: UMD)? Version:\s*(\d[\d.]*)", re.ASCII)
KERNEL_MODULE = re.compile(
    r"NVRM version:\s*NVIDIA UNIX\s+(?P<open>Open )?[^\n]*?Kernel Module\b[^\n]*?\s"
    r"(?P<version>\d{3,4}\.\d+(?:\.\d+)?)\b",
    re.ASCII,
)
UUID = re.compile(r"GPU-[0-9a-fA-F-]{8,}", re.ASCII)
BUS_ID = re.compile(r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]", re.ASCII)
CAPABILITY = re.compile(r"\d{1,2}\.\d", re.ASCII)
NUMBER = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(?:MiB|GiB|W|C|%)?", re.ASCII)


@dataclass(frozen=True)
class Header:
    """The versions in the header of a plain `nvidia-smi`: the driver, and the CUDA it brings."""

    driver: DriverVersion | None
    cuda: CudaVersion | None


@dataclass(frozen=True)
class KernelModule:
    """The loaded kernel module, from /proc/driver/nvidia/version."""

    version: DriverVersion
    is_open: bool


@dataclass(frozen=True)
class Gpu:
    """One card that answers; None where nvidia-smi prints a placeholder such as [N/A].

    + memory_total_mib, memory_used_mib: MiB
    + mig, ecc, persistence: whether the mode is on; None: the card has no such mode
    + temperature_c: degrees Celsius
    + utilization_percent: percent of the last sample period
    + power_w: watts
    + bad: the values that are missing because of a fault, or for an unknown reason
    """

    index: int
    uuid: str
    name: str
    driver: DriverVersion
    bus_id: str
    memory_total_mib: int | None = None
    memory_used_mib: int | None = None
    compute_capability: str | None = None
    mig: bool | None = None
    ecc: bool | None = None
    persistence: bool | None = None
    temperature_c: int | None = None
    utilization_percent: int | None = None
    power_w: float | None = None
    bad: tuple[BadValue, ...] = ()

    @property
    def card(self) -> Card | None:
        """What is known of this card; None when neither its name nor its capability is known."""
        return identify(self.name, self.compute_capability)

    @property
    def slot(self) -> str:
        """Its place on the PCI bus, as the kernel names it."""
        return slot_of(self.bus_id)

    @property
    def card_slot(self) -> str:
        """The slot without its function, 0000:84:00, as the driver's messages name a card."""
        return self.slot[:-2]


def clean(text: str) -> str:
    """Text without NULs and carriage returns."""
    return text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")


def parse_header(text: str) -> Header:
    """The header of a plain `nvidia-smi`, in both its spellings."""
    text = clean(text)
    driver = HEADER_DRIVER.search(text)
    cuda = HEADER_CUDA.search(text)
    return Header(_driver(driver[1]) if driver else None, _cuda(cuda[1]) if cuda else None)


def parse_kernel_module(text: str) -> KernelModule | None:
    """/proc/driver/nvidia/version; None when it is not what the driver writes there."""
    match = KERNEL_MODULE.search(clean(text))
    version = _driver(match["version"]) if match else None
    if match is None or version is None:
        return None
    return KernelModule(version, is_open=match["open"] is not None)


def parse_query(text: str) -> tuple[Gpu, ...]:
    """The rows of `nvidia-smi --query-gpu=… --format=csv,noheader,nounits`.

    + text: the output for either of QUERIES; which of the two is seen from the columns

    Lines that are no such row (warnings, errors, truncated rows) are left out.
    """
    rows = (_gpu(line) for line in clean(text).split("\n"))
    return tuple(row for row in rows if row is not None)


def _gpu(line: str) -> Gpu | None:
    for fields in QUERIES:
        gpu = _gpu_of(_columns(line, fields))
        if gpu is not None:
            return gpu
    return None


def _columns(line: str, fields: Sequence[str]) -> dict[str, str]:
    """The line by field name. nvidia-smi does not quote, so surplus commas belong to the name."""
    cells = [cell.strip() for cell in line.split(",")]
    surplus = len(cells) - len(fields)
    if surplus < 0:
        return {}
    at = fields.index("name")
    name = ", ".join(cells[at : at + surplus + 1])
    return dict(zip(fields, [*cells[:at], name, *cells[at + surplus + 1 :]], strict=True))


def _gpu_of(columns: dict[str, str]) -> Gpu | None:
    index = columns.get("index", "")
    driver = _driver(columns.get("driver_version", ""))
    uuid, bus_id = columns.get("uuid", ""), columns.get("pci.bus_id", "")
    recognised = index.isascii() and index.isdigit() and len(index) < 5 and driver is not None
    if not recognised or driver is None or not UUID.fullmatch(uuid) or not BUS_ID.fullmatch(bus_id):
        return None
    return Gpu(
        index=int(index),
        uuid=uuid,
        name=columns["name"],
        driver=driver,
        bus_id=bus_id,
        memory_total_mib=_whole(columns["memory.total"]),
        memory_used_mib=_whole(columns["memory.used"]),
        compute_capability=_capability(columns.get("compute_cap", "")),
        mig=_mode(columns["mig.mode.current"]),
        ecc=_mode(columns["ecc.mode.current"]),
        persistence=_mode(columns["persistence_mode"]),
        temperature_c=_whole(columns["temperature.gpu"]),
        utilization_percent=_whole(columns["utilization.gpu"]),
        power_w=_number(columns["power.draw"]),
        bad=tuple(_bad_values(columns)),
    )


def _bad_values(columns: dict[str, str]) -> Iterator[BadValue]:
    """The cells that hold no value, and no harmless placeholder."""
    for field, read in READ_AS.items():
        cell = columns.get(field, "")
        bad = bad_value(field, cell) if read(cell) is None else None
        if bad:
            yield bad
    # GB10 shares the host's memory and says [N/A].
    total = columns["memory.total"]
    if not total:
        yield BadValue("memory.total", "empty", Meaning.UNKNOWN)
    elif _whole(total) == 0:
        yield BadValue("memory.total", total, Meaning.FAULT)


def _capability(cell: str) -> str | None:
    return cell if CAPABILITY.fullmatch(cell) else None


def _number(cell: str) -> float | None:
    match = NUMBER.fullmatch(cell)
    return float(match[1]) if match else None


def _whole(cell: str) -> int | None:
    number = _number(cell)
    return None if number is None else int(number)


def _mode(cell: str) -> bool | None:
    return {"enabled": True, "disabled": False}.get(cell.lower())


READ_AS: dict[str, Callable[[str], object]] = {
    "memory.total": _whole,
    "memory.used": _whole,
    "compute_cap": _capability,
    "mig.mode.current": _mode,
    "ecc.mode.current": _mode,
    "persistence_mode": _mode,
    "temperature.gpu": _whole,
    "utilization.gpu": _whole,
    "power.draw": _number,
}


def _driver(text: str) -> DriverVersion | None:
    try:
        return DriverVersion.parse(text.rstrip("."))
    except ValueError:
        return None


def _cuda(text: str) -> CudaVersion | None:
    try:
        return CudaVersion.parse(text.rstrip("."))
    except ValueError:
        return None
