"""Security updates: the part of apt's configuration that gpuhost writes."""

from __future__ import annotations

from gpuhost.domain.nvidia.held_packages import EXCLUDED
from gpuhost.settings import Settings
from gpuhost.snapshot.dpkg import BLACKLIST, PERIODIC
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


def request(settings: Settings) -> Request:
    return Request(managed=(UPDATES_FILE,))
