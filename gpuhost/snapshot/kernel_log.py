"""The kernel's messages about cards since the boot."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.nvidia.refusals import Refusal, parse_refusals
from gpuhost.domain.nvidia.xid import CardError, parse
from gpuhost.snapshot.nvidia import HAS_NVIDIA_SMI
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# Each error of a card once, with its count and its last message: a program can cause thousands.
CARD_ERRORS = r"""
function say(key, line) {
    if (!(key in count)) order[n++] = key
    count[key]++
    last[key] = substr(line, 1, 400)
}
# An SXid is followed by lines of its severity and data, with the same number.
/SXid .*, (Severity|Data) / && match($0, /SXid \([^)]*\): [0-9]+/) {
    if (substr($0, RSTART, RLENGTH) in count) next
}
/Xid \(/ && match($0, /S?Xid \([^)]*\): [0-9]+/) { say(substr($0, RSTART, RLENGTH), $0); next }
# A message of several lines has the moment in its first one only.
$1 ~ /^[0-9]+-[0-9]+-/ { moment = $1 }
/NVRM: (The NVIDIA GPU |BAR[0-9] is )/ {
    card = ""
    if (match($0, /[0-9a-f]+:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f][.][0-9a-f]/))
        card = substr($0, RSTART, RLENGTH)
}
/NVRM: fallen off the bus/ {
    say("bus " card, moment " NVRM: GPU " card ": has fallen off the bus")
    next
}
/NVRM: +(installed in this system (requires|is not)|supported through|BAR[0-9] is )/ {
    if ($0 ~ /supported through/) card = ""
    sub(/.*NVRM: +/, "")
    refused = "refused " card $1
    say(refused, moment " NVRM: GPU " card ": " $0)
    next
}
/NVRM: +NVIDIA [0-9.]+ driver release/ && refused in last {
    sub(/.*NVRM: +/, "")
    last[refused] = last[refused] " " $0
}
/NVRM: ignoring the legacy GPU / { say(substr($0, length($1) + 2), $0) }
/NVRM: (request_mem_region|pci_enable_device) failed|NVRM: Can.t find an IRQ/ { say("bus " $3, $0) }
/ nvidia(_uvm)?: (version magic|disagrees about version|Unknown symbol|Loading of .*is rejected)/ {
    say("unfit", $0)
}
/NVRM: No NVIDIA (devices|graphics adapter) probed/ { say("unclaimed", $0) }
/Lockdown: .*unsigned module loading is restricted/ { say("locked", $0) }
# What comes before a start that fails. nouveau looks for firmware too.
/NVRM: .*WPR2 already up/ { why = "WPR2 already up" }
/ nvidia [0-9a-f:.]+: Direct firmware load for nvidia.* error -2/ { why = "no firmware file" }
/NVRM: .*wait for (GFW_BOOT|GFW boot)/ { why = "GFW boot" }
/NVRM: .*(prepareForFwsec|vbiosPatch)/ { why = "VBIOS" }
/ nvidia [0-9a-f:.]+: .*from D3cold to D0/ { why = "D3cold" }
/NVRM: Open nvidia.ko is only ready for use on Data Center/ { why = "data centre only" }
/NVRM: .*(has fallen off the bus|RmInitAdapter failed)/ {
    key = substr($0, length($1) + 2)
    if (why != "") note[key] = " (" why ")"
    why = ""
    say(key, $0 note[key])
}
END { for (i = 0; i < n && i < 100; i++) print count[order[i]] "\t" last[order[i]] }"""
REQUEST = Request(
    probes=(
        ProbeCommand(
            "kernel_log",
            f"""sh -c 'dmesg --time-format iso | awk "$1"' sh '{CARD_ERRORS}'""",
            only_if=f"{HAS_NVIDIA_SMI} || [ -e /proc/driver/nvidia/version ]",
        ),
    )
)


@dataclass(frozen=True)
class KernelLog:
    """Errors of cards, in order of their first message; old messages may be gone from the log.

    + refusals: cards that the driver did not take when it was loaded
    """

    card_errors: tuple[CardError, ...]
    refusals: tuple[Refusal, ...] = ()

    @classmethod
    def read(cls, probes: Probes) -> KernelLog:
        probe = probes.get("kernel_log")
        # The exit status of this pipe is awk's; dmesg's errors are on stderr.
        if probe.rc != 0 or probe.err.strip():
            raise NotRead(f"the kernel's log: {probe.complaint}")
        return cls(parse(probe.out), parse_refusals(probe.out))
