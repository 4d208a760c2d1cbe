"""What the cards themselves report: errors, repairs, temperature, links; and their MIG devices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from gpuhost.domain.nvidia.mig import MigDevice, parse_devices
from gpuhost.domain.nvidia.nvlink import fewer_links
from gpuhost.domain.nvidia.smi_xml import BadXmlError, Report, parse_reports
from gpuhost.snapshot.nvidia import HAS_NVIDIA_SMI
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# Most of the output is lists of clocks. Names of processes hold their arguments: never read.
WITHOUT_LISTS = r"""
/<(supported_clocks|processes|accounted_processes)>/ { skip = 1 }
!skip { print }
/<\/(supported_clocks|processes|accounted_processes)>/ { skip = 0 }
NR > 100000 { exit }"""
# A process that a card keeps from ending: in D state inside the driver, twice. This reading's own
# nvidia-smi wakes the cards, and may wait for them.
STUCK = r"""
blocked() {
    for stat in $(grep -slE "[)] D " /proc/[0-9]*/stat); do
        grep -qs "[[]nvidia" "${stat%stat}stack" || continue
        process=${stat#/proc/}
        echo "${process%/stat} $(cat "${stat%stat}comm")"
    done | grep -v " nvidia-smi$"
}
first=$(blocked)
[ "$first" ] || exit 0
sleep 5
blocked | while read -r process; do
    printf "%s\n" "$first" | grep -qFx -e "$process" && printf "%s\n" "$process"
done
exit 0"""
LINKS = "/sys/bus/pci/drivers/nvidia/0*"
HAS_MIG = f"{HAS_NVIDIA_SMI} && ls -d /proc/driver/nvidia/capabilities/gpu*/mig/gi* >/dev/null 2>&1"
# Every card uses the same number of links on boards with NVSwitch, and on whole SXM boards without
# (HGX with four cards, DGX-1). Bridges of PCIe cards connect some of them, by some of their links.
SXM_BOARD = (
    "case $({ grep -lsE '[- ]SXM|B[23]00' /proc/driver/nvidia/gpus/*/information | wc -l; }"
    " 2>/dev/null)"
    " in 4 | 8 | 16) ;; *) false ;; esac"
)
HAS_UNIFORM_LINKS = f"{HAS_NVIDIA_SMI} && {{ [ -e /dev/nvidia-nvswitch0 ] || {SXM_BOARD}; }}"
REQUEST = Request(
    probes=(
        # Slower than a query, so with a limit of its own.
        ProbeCommand(
            "nvidia_details",
            f"""sh -c 'nvidia-smi -q -x | awk "$1"' sh '{WITHOUT_LISTS}'""",
            seconds=30,
            only_if=HAS_NVIDIA_SMI,
        ),
        ProbeCommand("nvidia_mig", "nvidia-smi -L", seconds=30, only_if=HAS_MIG),
        ProbeCommand(
            "nvidia_nvlink", "nvidia-smi nvlink -s", seconds=30, only_if=HAS_UNIFORM_LINKS
        ),
        ProbeCommand("nvidia_stuck", f"sh -c '{STUCK}'", only_if=HAS_NVIDIA_SMI),
        ProbeCommand(
            "nvidia_links",
            f"grep -sH . {LINKS}/max_link_width {LINKS}/../max_link_width",
            at_once=True,
            absent=Probe(2),
        ),
    ),
)
LINK = re.compile(r"/(?P<slot>[0-9a-fA-F:.]+)(?P<up>/\.\.)?/max_link_width:(?P<width>\d{1,3})$")
WIDTHS = (1, 2, 4, 8, 12, 16, 32)


@dataclass(frozen=True)
class NvidiaHealth:
    """The cards' own reports; each property is parsed when it is first used."""

    probes: Probes

    @classmethod
    def read(cls, probes: Probes) -> NvidiaHealth:
        return cls(probes)

    @property
    def is_read(self) -> bool:
        """Whether nvidia-smi was asked: it is not where it is not installed."""
        return "nvidia_details" in self.probes

    @cached_property
    def reports(self) -> tuple[Report, ...]:
        """Of every card that nvidia-smi lists. Raises NotRead."""
        probe = self.probes.get("nvidia_details")
        if probe.rc is None:
            raise NotRead("nvidia-smi -q -x timed out")
        try:
            return parse_reports(probe.out)
        except BadXmlError as error:
            raise NotRead(f"nvidia-smi -q -x: {error}") from error

    @cached_property
    def fewer_links(self) -> Mapping[int, tuple[int, int]]:
        """Cards that use fewer NVLinks than the others; none on other boards. Raises NotRead."""
        if "nvidia_nvlink" not in self.probes:
            return {}
        return fewer_links(self.probes.output("nvidia_nvlink", allow=(0, 14)))

    @cached_property
    def slot_widths(self) -> Mapping[str, int]:
        """Lanes that a card and its slot both have, by bus id; without those that are unknown."""
        found: dict[str, list[int]] = {}
        probe = self.probes.get("nvidia_links") if "nvidia_links" in self.probes else Probe(2)
        for line in probe.out.splitlines():
            match = LINK.search(line)
            if match and int(match["width"]) in WIDTHS:
                found.setdefault(match["slot"].lower(), []).append(int(match["width"]))
        return {slot: min(widths) for slot, widths in found.items() if len(widths) == 2}

    @cached_property
    def stuck(self) -> tuple[str, ...]:
        """Processes that wait for the driver and cannot be ended: "4711 python3"."""
        return tuple(self.probes.output("nvidia_stuck").splitlines())

    @cached_property
    def mig_devices(self) -> tuple[MigDevice, ...]:
        """The MIG devices of every card. Raises NotRead."""
        if "nvidia_mig" not in self.probes:
            return ()
        return parse_devices(self.probes.output("nvidia_mig", allow=(0, 14)))
