"""What gpuhost puts on the host for its firewall: the guard, and two units that run it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

GUARD = "/usr/local/lib/gpuhost/firewall"
LOAD_UNIT = "gpuhost-firewall.service"
UNDO_UNIT = "gpuhost-firewall-revert.service"

# PartOf: loaded again with every restart of the engine, before it starts.
LOAD_TEXT = f"""\
[Unit]
Description=Rules of the firewall for published container ports
After=ufw.service
Before=docker.service
PartOf=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={GUARD} load
TimeoutStartSec=180

[Install]
WantedBy=multi-user.target docker.service
"""

# At boot it comes before ufw, so that ufw loads what was there before the change.
UNDO_TEXT = f"""\
[Unit]
Description=Undo a change of the firewall that nobody confirmed
DefaultDependencies=no
After=local-fs.target
Before=ufw.service {LOAD_UNIT}
ConditionPathExists=/var/lib/gpuhost/firewall/pending

[Service]
Type=oneshot
ExecStart={GUARD} revert
TimeoutStartSec=900

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class HostFile:
    """A file that is wholly ours. mode: four octal digits."""

    path: str
    content: str
    mode: str = "0644"

    @property
    def sha256(self) -> str:
        return sha256(self.content.encode()).hexdigest()


@cache
def host_files() -> tuple[HostFile, ...]:
    guard = files("gpuhost.firewall").joinpath("guard.sh").read_text(encoding="utf-8")
    return (
        HostFile(GUARD, guard, "0755"),
        HostFile(f"/etc/systemd/system/{LOAD_UNIT}", LOAD_TEXT),
        HostFile(f"/etc/systemd/system/{UNDO_UNIT}", UNDO_TEXT),
    )
