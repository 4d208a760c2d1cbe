"""Cards that the driver refuses when it is loaded, in its own words in the kernel's log.

The texts are those of the driver (kernel-open/nvidia/nv-pci.c, nv.c, src/nvidia/arch/nvalloc/unix)
and of the kernel's module loader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Why a card is refused.

    + of_driver: another driver or other kernel modules would take the card
    + open_modules: the refusing kernel modules are the open ones; None: it is not about that
    """

    cause: str
    fix: str
    of_driver: bool = False
    open_modules: bool | None = None


@dataclass(frozen=True)
class Refusal:
    """One refusal.

    + card: its place on the PCI bus, "0000:84:00"; "": the driver does not say which one
    + text: the driver's words
    """

    card: str
    reason: Reason
    text: str

    @property
    def branch(self) -> int | None:
        """Of the refusing driver, if it says so."""
        match = RELEASE.search(self.text)
        return int(match[1]) if match else None


RUNNING = '"$(uname -r)"'
UNKNOWN_CARD = Reason(
    "this driver does not know the card",
    "install a newer branch, or for an old card an older one",
    of_driver=True,
)
# The same words, of a chip that the branch drives: the driver looks at more than its PCI id.
KNOWN_CHIP = Reason(
    "the driver does not take this card, although its branch drives the chip: it is a vGPU, it is "
    "in confidential-computing mode, or it is newer than this release",
    "a vGPU needs NVIDIA's GRID guest driver; the hypervisor switches confidential computing off "
    "(nvidia_gpu_tools.py --set-cc-mode=off --reset-after-cc-mode-switch); otherwise install a "
    "newer branch",
)
# The kernel does not say which module it was: the last reason to be named.
LOCKED_DOWN = Reason(
    "the kernel is locked down, and loads no unsigned module",
    "sign it: dkms install --force, with the key in /var/lib/dkms/mok.pub enrolled; or remove "
    "lockdown= and module.sig_enforce from the kernel command line (cat /proc/cmdline)",
)
RELEASE = re.compile(r"NVIDIA (\d{3,4})\.[\d.]+ driver release", re.ASCII)
REASONS: tuple[tuple[str, Reason], ...] = (
    (
        "not supported by open",
        Reason(
            "the open kernel modules do not drive the card",
            "install the proprietary ones, of branch 580 or older",
            of_driver=True,
            open_modules=True,
        ),
    ),
    (
        "requires use of the NVIDIA open kernel modules",
        Reason(
            "the proprietary kernel modules do not drive the card",
            "install the open ones",
            of_driver=True,
            open_modules=False,
        ),
    ),
    (
        r"supported through the NVIDIA \S+ Legacy drivers",
        Reason(
            "this driver no longer drives the card: only an older branch does",
            "install the branch that the driver names",
            of_driver=True,
        ),
    ),
    (
        "ignoring the legacy GPU",
        Reason(
            "this driver no longer drives the card: only an older branch does",
            "install an older branch: 580 is the last one for Maxwell, Pascal and Volta",
            of_driver=True,
        ),
    ),
    ("is not supported by the", UNKNOWN_CARD),
    (
        r"BAR\d is 0M",
        Reason(
            "the card has no addresses for its memory",
            'in the BIOS, switch on "Above 4G Decoding"; in a virtual machine, give it a larger '
            "64-bit MMIO window; otherwise boot with pci=realloc",
        ),
    ),
    (
        "version magic|disagrees about version|Unknown symbol",
        Reason(
            "the module was not built for this kernel",
            f"dkms install --force -k {RUNNING} MODULE/VERSION, as dkms status names the module; "
            "then modprobe nvidia",
        ),
    ),
    (
        "Loading of .* is rejected",
        Reason(
            "the kernel does not know the key that signed the module",
            "mokutil --import /var/lib/dkms/mok.pub, reboot, and confirm the key at the console; "
            "or disable Secure Boot",
        ),
    ),
    (
        "request_mem_region failed",
        Reason(
            "another driver has the card's registers: a framebuffer, or a second NVIDIA driver",
            "grep -i -e nvidia -e fb -e vga /proc/iomem shows which one: keep it from being loaded "
            "(simplefb, efifb: boot with video=efifb:off)",
        ),
    ),
    (
        "find an IRQ|pci_enable_device failed",
        Reason(
            "the card gets no interrupt, or cannot be switched on, on the PCI bus",
            "in the BIOS, load its defaults and update it; in a virtual machine, give it the card "
            "as a PCI Express device (Q35); then a full power cycle",
        ),
    ),
    ("unsigned module loading is restricted", LOCKED_DOWN),
    (
        "No NVIDIA (?:devices|graphics adapter) probed",
        Reason(
            "the kernel gives the driver no card: another driver has it, or driver_override is set",
            "lspci -nnk -d 10de:; grep . /sys/bus/pci/devices/*/driver_override",
        ),
    ),
)
_SLOT = re.compile(r"\b([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2})\.[0-9a-f]", re.IGNORECASE)


def parse_refusals(counted: str) -> tuple[Refusal, ...]:
    """Refusals in the lines that xid.parse gets too: COUNT, a tab, the moment and the text."""
    found: dict[tuple[str, Reason], Refusal] = {}
    for line in counted.splitlines():
        _, tab, rest = line.partition("\t")
        text = rest.partition(" ")[2]
        reason = next((why for pattern, why in REASONS if re.search(pattern, text)), None)
        if tab and reason:
            slot = _SLOT.search(text)
            card = slot[1].lower()[-10:] if slot else ""
            found.setdefault((card, reason), Refusal(card, reason, text))
    return tuple(found.values())
