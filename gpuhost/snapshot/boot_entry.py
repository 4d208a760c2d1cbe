"""The kernel that boots next, from the boot loader's own configuration."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpuhost.domain import grub
from gpuhost.domain.shell_words import LONGEST
from gpuhost.snapshot.probes import Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

GRUB_CFG = "/boot/grub/grub.cfg"
SETTINGS = "/etc/default/grub"
# Where systemd-boot has its own, on the partition of the firmware.
LOADERS = ("/boot/loader/loader.conf", "/efi/loader/loader.conf", "/boot/efi/loader/loader.conf")
VARIABLES = (
    "^ *(export )?(GRUB_(DEFAULT|FLAVOUR_ORDER|TOP_LEVEL)|saved_entry|next_entry)="
    "|^default[[:space:]]"
)
# With these, the newest kernel need not be the first of the menu (grub.d/10_linux).
ORDERING = ("GRUB_FLAVOUR_ORDER", "GRUB_TOP_LEVEL")
REQUEST = Request(
    probes=(
        ProbeCommand(
            "boot_entry",
            f"grep -m 2000 -sHE -e '{VARIABLES}' -e '{grub.LINES}' {SETTINGS} {SETTINGS}.d/*.cfg"
            f" /boot/grub/grubenv {GRUB_CFG} {' '.join(LOADERS)}",
            absent=Probe(2),
            at_once=True,
        ),
    )
)


@dataclass(frozen=True)
class BootEntry:
    """The kernel of the next boot.

    + release: None: no kernel is on disk, as in a container, or it is unknown
    + unknown: why it is; "": it is known, or there is none
    """

    release: str | None
    unknown: str = ""


def read_boot_entry(probes: Probes, installed: Sequence[str]) -> BootEntry:
    """What boots next.

    + installed: the kernels in /boot, oldest first
    """
    if not installed:
        return BootEntry(None)
    lines = [line.partition(":") for line in _output(probes).splitlines()]
    texts: dict[str, list[str]] = {}
    for path, _, text in lines:
        texts.setdefault(path, []).append(text)
    values = _assignments(
        text for path, _, text in lines if path != GRUB_CFG and path not in LOADERS
    )
    menu = grub.parse("\n".join(texts.get(GRUB_CFG, ())))
    if menu:
        return _from_menu(menu, values, installed)
    if len(installed) == 1:
        return BootEntry(installed[0])
    if any(path.startswith(SETTINGS) for path in texts):
        return _from_settings(values, installed)
    loader = next((path for path in LOADERS if path in texts), "")
    return BootEntry(None, f"systemd-boot chooses ({loader})" if loader else "no GRUB was found")


def _output(probes: Probes) -> str:
    return probes.output("boot_entry", allow=(0, 1, 2))


def _from_menu(menu: grub.Menu, values: dict[str, str], installed: Sequence[str]) -> BootEntry:
    entry = menu.boots(values.get("saved_entry", ""), values.get("next_entry", ""))
    if entry is None:
        return BootEntry(None, f"GRUB's default entry depends on the machine: {menu.default}")
    if entry.kernel is None:
        return BootEntry(None, f"GRUB's default entry names no kernel: {entry.title}")
    if entry.kernel not in installed:  # of another system, or removed without update-grub
        reason = f"GRUB's default entry boots {entry.kernel}, which is not in /boot"
        return BootEntry(None, f"{reason}: {entry.title}")
    return BootEntry(entry.kernel)


def _from_settings(values: dict[str, str], installed: Sequence[str]) -> BootEntry:
    """Without grub.cfg: a name that contains a release, or the first entry, the newest kernel."""
    default = values.get("GRUB_DEFAULT", "")
    default = values.get("saved_entry", "") if default == "saved" else default
    default = values.get("next_entry") or default
    named = [release for release in installed if _names(default, release)]
    if named:
        return BootEntry(max(named, key=len))
    if default not in ("", "0"):
        return BootEntry(None, f"GRUB boots entry {default}, and {GRUB_CFG} could not be read")
    ordered = [name for name in ORDERING if values.get(name)]
    if ordered:
        return BootEntry(None, f"{ordered[0]} is set, and {GRUB_CFG} could not be read")
    return BootEntry(installed[-1])


def _names(default: str, release: str) -> bool:
    """6.1.0-9-amd64 is not in an entry of 6.1.0-9-amd64-unsigned's or 16.1.0-9-amd64's."""
    return bool(re.search(rf"(?<![\w.]){re.escape(release)}(?!\w)", default))


def _assignments(lines: Iterable[str]) -> dict[str, str]:
    values = {}
    for line in lines:
        key, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals:
            # Only /etc/default/grub is shell; grubenv has its values as they are.
            values[key] = _unquoted(value) if key.startswith("GRUB_") else value
    return values


def _unquoted(value: str) -> str:
    try:
        words = shlex.split(value[:LONGEST], comments=True)
    except ValueError:
        return value.strip()
    return words[0] if words else ""
