"""Whether the firmware lets the kernel load the driver's modules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gpuhost.snapshot.mounts import MOUNTINFO
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.system import CONTAINER

# A machine owner key of this host signs the modules that DKMS builds here (mokutil(1)).
OWNER_KEYS = ("/var/lib/dkms/mok.pub", "/var/lib/shim-signed/mok/MOK.der")
KEYS = tuple(f"key_{path.rpartition('/')[2]}" for path in OWNER_KEYS)
VARIABLES = "/sys/firmware/efi/efivars"
SECURE_BOOT = f"{VARIABLES}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# 1: a person switched shim's validation off (mokutil --disable-validation): the kernel then takes
# Secure Boot for off (linux drivers/firmware/efi/libstub/secureboot.c).
NO_VALIDATION = f"{VARIABLES}/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"
# It is there on every machine that was booted by UEFI, whether its variables can be read or not.
UEFI = "/sys/firmware/efi/fw_platform_size"
REQUEST = Request(
    files=(UEFI,),
    probes=(
        ProbeCommand("secure_boot", f"od -An -v -tu1 {SECURE_BOOT}", absent=Probe(1), at_once=True),
        ProbeCommand(
            "no_validation",
            f"od -An -v -tu1 {NO_VALIDATION}",
            only_if=f"[ -e {NO_VALIDATION} ]",
            at_once=True,
        ),
        *(
            ProbeCommand(name, f"mokutil --test-key {path}", only_if=f"[ -e {path} ]")
            for name, path in zip(KEYS, OWNER_KEYS, strict=True)
        ),
    ),
)


class Key(Enum):
    """What mokutil says of the key that signs the modules built here."""

    ENROLLED = "enrolled"
    PENDING = "waits to be confirmed at the console"
    BLOCKED = "blocked"
    MISSING = "not enrolled"
    NONE = "no key"
    UNKNOWN = "unknown"


# mokutil 0.3 to 0.7, --test-key. In this order: "already enrolled" is part of other sentences.
SENTENCES = (
    ("in the enrollment request", Key.PENDING),
    ("blocked in", Key.BLOCKED),
    ("is blocked", Key.BLOCKED),
    ("deletion request", Key.MISSING),
    ("already enrolled", Key.ENROLLED),
    ("trusted keyring", Key.ENROLLED),
    ("not enrolled", Key.MISSING),
)
BEST_FIRST = (Key.ENROLLED, Key.PENDING, Key.UNKNOWN, Key.BLOCKED, Key.MISSING)


@dataclass(frozen=True)
class SecureBoot:
    """Whether unsigned modules are refused, and what is known of the key of this host.

    + unknown: why the key's state is unknown; "": it is known
    """

    on: bool
    key: Key
    unknown: str = ""

    @classmethod
    def read(cls, probes: Probes) -> SecureBoot:
        if "secure_boot" not in probes:
            raise NotRead("the collector did not read the state of Secure Boot")
        probe = probes.get("secure_boot")
        if probe.rc is None:
            raise NotRead("reading the state of Secure Boot timed out")
        if probe.rc != 0 and _is_hidden(probes):
            raise NotRead("efivarfs is not mounted: the state of Secure Boot is unknown")
        tests = [probes.get(name) for name in KEYS if name in probes]
        states = [_state(test) for test in tests]
        key = next((state for state in BEST_FIRST if state in states), Key.NONE)
        unread = next((t for t, s in zip(tests, states, strict=True) if s is Key.UNKNOWN), None)
        return cls(
            _is_one(probe)
            and not ("no_validation" in probes and _is_one(probes.get("no_validation"))),
            key,
            _why(unread) if key is Key.UNKNOWN and unread else "",
        )


def _is_hidden(probes: Probes) -> bool:
    """Whether the firmware's variables are out of sight; in a container they always are."""
    mounts = probes.file(MOUNTINFO) or ""
    return bool(probes.file(UEFI) and not probes.file(CONTAINER) and " efivarfs " not in mounts)


def _is_one(variable: Probe) -> bool:
    """Four bytes of attributes, then the value (UEFI specification, "Global Variables")."""
    return variable.rc == 0 and variable.out.split()[4:5] == ["1"]


def _state(test: Probe) -> Key:
    words = test.out + test.err
    return next((state for text, state in SENTENCES if text in words), Key.UNKNOWN)


def _why(test: Probe) -> str:
    if test.rc == 127:
        return "mokutil is not installed"
    return f"mokutil: {test.complaint}"
