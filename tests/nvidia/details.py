"""`nvidia-smi -q -x` written from values by path: the real tool's elements, indents and DOCTYPE."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

Texts = Mapping[str, str | None]
# What no reader may send home, and a list that is most of the real output.
LISTS = """\
\t\t<supported_clocks>
\t\t\t<supported_mem_clock>
\t\t\t\t<value>3615 MHz</value>
\t\t\t\t<supported_graphics_clock>1531 MHz</supported_graphics_clock>
\t\t\t</supported_mem_clock>
\t\t</supported_clocks>
\t\t<processes>
\t\t\t<process_info>
\t\t\t\t<pid>4711</pid>
\t\t\t\t<process_name>python3 --api-key tops3cret & more</process_name>
\t\t\t</process_info>
\t\t</processes>
\t\t<accounted_processes>
\t\t</accounted_processes>
"""
HEALTHY: dict[str, str] = {
    "pci/pci_gpu_link_info/pcie_gen/max_link_gen": "3",
    "pci/pci_gpu_link_info/pcie_gen/current_link_gen": "1",
    "pci/pci_gpu_link_info/link_widths/max_link_width": "16x",
    "pci/pci_gpu_link_info/link_widths/current_link_width": "16x",
    "clocks_event_reasons/clocks_event_reason_gpu_idle": "Active",
    "clocks_event_reasons/clocks_event_reason_hw_slowdown": "Not Active",
    "ecc_errors/volatile/dram_uncorrectable": "0",
    "remapped_rows/remapped_row_pending": "No",
    "temperature/gpu_temp": "35 C",
    "temperature/gpu_temp_slow_threshold": "90 C",
    "fabric/state": "N/A",
}


def details(
    gpus: Iterable[tuple[str, Texts]], *, driver: str = "580.95.05", lists: str = ""
) -> str:
    """The whole output.

    + gpus: each card's bus id, and its values
    + lists: what the collector leaves out
    """
    body = "".join(
        f'\t<gpu id="{bus_id}">\n{_elements(_tree(texts), 2)}{lists}\t</gpu>\n'
        for bus_id, texts in gpus
    )
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n'
        f"<nvidia_smi_log>\n\t<driver_version>{driver}</driver_version>\n{body}</nvidia_smi_log>\n"
    )


def details_of_query(rows: str, fields: Iterable[str], change: Texts | None = None) -> str:
    """A healthy report for each row of a query, with some values changed (None: not printed)."""
    names = list(fields)
    gpus = []
    for row in csv.reader(rows.splitlines(), skipinitialspace=True):
        columns = dict(zip(names, row, strict=False))
        bus_id = columns.get("pci.bus_id", "")
        if ":" in bus_id:
            texts = {**HEALTHY, "pci/pci_bus_id": bus_id, **(change or {})}
            gpus.append((bus_id, texts))
    return details(gpus)


def _tree(texts: Texts) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, text in texts.items():
        *above, name = path.split("/")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        if text is not None:
            place[name] = text
    return tree


def _elements(tree: Mapping[str, Any], depth: int) -> str:
    tabs = "\t" * depth
    lines = []
    for name, value in tree.items():
        if isinstance(value, dict):
            lines.append(f"{tabs}<{name}>\n{_elements(value, depth + 1)}{tabs}</{name}>\n")
        else:
            lines.append(f"{tabs}<{name}>{escape(str(value))}</{name}>\n")
    return "".join(lines)
