"""Files, units and held packages that keep a working driver working."""

from __future__ import annotations

from gpuhost.domain.nvidia.held_packages import EXCLUDED, held
from gpuhost.domain.nvidia.rivals import MODULES
from gpuhost.snapshot.nvidia import Nvidia
from gpuhost.snapshot.nvidia_packages import Package

DAEMON = "nvidia-persistenced.service"
OWN_UNIT = "gpuhost-nvidia-persistence.service"
FABRIC_UNIT = "nvidia-fabricmanager.service"
# Distributions start the daemon with persistence off, and NVIDIA's installer does not start it:
# nvidia-smi sets it through the daemon, or directly if no daemon runs.
PERSISTENCE_TEXT = f"""\
# Written by gpuhost.
[Unit]
Description=NVIDIA persistence mode
Wants={DAEMON}
After={DAEMON}

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=120
ExecStart=/usr/bin/nvidia-smi -pm 1

[Install]
WantedBy=multi-user.target
"""
EXCLUSIONS_TEXT = (
    "// Written by gpuhost: the driver stays as it is under running containers.\n"
    "Unattended-Upgrade::Package-Blacklist {\n"
    + "".join(f'    "{name}";\n' for name in (*EXCLUDED, "libnvcuvid", "nvlsm"))
    + "};\n"
)

BLACKLIST = "/etc/modprobe.d/gpuhost-nouveau.conf"
BLACKLIST_TEXT = (
    "# Written by gpuhost.\n"
    + "".join(f"blacklist {module}\n" for module in MODULES)
    + "options nouveau modeset=0\n"
)

# Debian's nvidia-legacy-check asks whether to install a driver that does not serve every card on
# the bus; without a terminal it answers no, and the installation ends. gpuhost has decided already.
NO_LEGACY_CHECK = "/var/lib/gpuhost/nvidia.debconf"
NO_LEGACY_CHECK_TEXT = "nvidia-legacy-check nvidia-driver/check-for-unsupported-gpu boolean false\n"


def packages_to_hold(nvidia: Nvidia) -> tuple[Package, ...]:
    """The packages whose upgrade would break running containers."""
    return tuple(nvidia.packages[name] for name in held(nvidia.packages))


def installation(nvidia: Nvidia) -> str:
    """The installed driver in one line, which changes with any of its packages."""
    return " ".join(f"{package.name}={package.version}" for package in packages_to_hold(nvidia))
