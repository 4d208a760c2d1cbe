"""Security updates: the part of apt's configuration that gpuhost writes."""

from __future__ import annotations

from shlex import quote

from gpuhost.domain.apt.unattended import faulty, has_security
from gpuhost.domain.nvidia.held_packages import EXCLUDED
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.disks import ancestry
from gpuhost.snapshot.dpkg import ALLOWED, BLACKLIST, PATTERNS, PERIODIC
from gpuhost.snapshot.request import Request

UPDATES_FILE = "/etc/apt/apt.conf.d/60gpuhost-updates"
# Prefixes of package names. Ubuntu's linux-modules-nvidia-* are not among them: a new kernel
# without its modules would have no driver at the next boot.
BLOCKED = (
    *EXCLUDED,
    "xserver-xorg-video-nvidia",
    "docker",
    "containerd",
    "runc",
)


def updates_text() -> str:
    """Our part of apt's configuration: security updates, except packages that containers use."""
    blocked = "".join(f'    "{pattern}";\n' for pattern in BLOCKED)
    return (
        "// Written by gpuhost.\n"
        f'{PERIODIC}::Update-Package-Lists "1";\n'
        f'{PERIODIC}::Unattended-Upgrade "1";\n'
        f"{BLACKLIST} {{\n{blocked}}};\n"
    )


ORIGINS_FIX = (
    "compare /etc/apt/apt.conf.d/50unattended-upgrades with the package's own file in "
    "/usr/share/unattended-upgrades; unattended-upgrade --dry-run -v shows what it takes"
)


def no_security_origin(snapshot: Snapshot) -> str:
    """Why unattended-upgrades installs no security updates, whatever else is configured; "": it
    does, or that is not known.
    """
    config = snapshot.updates
    if config.allowed is None or config.patterns is None:
        return ""
    id = snapshot.system.distribution
    if id not in ("debian", "ubuntu"):
        return ""
    if entry := faulty(config.allowed):
        return f"it ends with an error on the entry {entry!r} of {ALLOWED}"
    if has_security(config.allowed, config.patterns, id, snapshot.system.codename):
        return ""
    return f"no entry of {ALLOWED} or {PATTERNS} is for the security archive"


def noexec_mount(snapshot: Snapshot, path: str) -> str:
    """The mount point of a path, if no program on it can be started; "": one can, or that is not
    known.
    """
    try:
        mounts = snapshot.mounts
    except NotRead:
        return ""
    mounted_on = next((each for each in ancestry(path) if each in mounts.mounted), "")
    return mounted_on if mounted_on in mounts.noexec else ""


def allow_programs(mounted_on: str) -> str:
    """How to undo noexec, now and at boot."""
    return f"mount -o remount,exec {quote(mounted_on)}; remove noexec from /etc/fstab"


def request(settings: Settings) -> Request:
    return Request(managed=(UPDATES_FILE,))
