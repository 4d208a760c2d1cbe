"""The kernel's messages about cards since the boot."""

from __future__ import annotations

from dataclasses import dataclass

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
/NVRM: The NVIDIA GPU / { card = $6 }
/NVRM: fallen off the bus/ {
    say("bus " card, $1 " NVRM: GPU " card ": has fallen off the bus")
    next
}
/NVRM: .*(has fallen off the bus|RmInitAdapter failed)/ { say(substr($0, length($1) + 2), $0) }
END { for (i = 0; i < n && i < 100; i++) print count[order[i]] "\t" last[order[i]] }"""
REQUEST = Request(
    probes=(
        ProbeCommand(
            "kernel_log",
            f"""sh -c 'dmesg --time-format iso | awk "$1"' sh '{CARD_ERRORS}'""",
            only_if=HAS_NVIDIA_SMI,
        ),
    )
)


@dataclass(frozen=True)
class KernelLog:
    """Errors of cards, in order of their first message; old messages may be gone from the log."""

    card_errors: tuple[CardError, ...]

    @classmethod
    def read(cls, probes: Probes) -> KernelLog:
        probe = probes.get("kernel_log")
        # The exit status of this pipe is awk's; dmesg's errors are on stderr.
        if probe.rc != 0 or probe.err.strip():
            raise NotRead(f"the kernel's log: {probe.complaint}")
        return cls(parse(probe.out))
