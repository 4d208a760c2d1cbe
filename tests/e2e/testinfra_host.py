"""A lab host for testinfra, over OpenSSH."""

from __future__ import annotations

from pathlib import Path

import testinfra
from testinfra.host import Host

from tests.lab.hosts import LabHost


def connect_testinfra(host: LabHost, folder: Path) -> Host:
    """Connect with an ssh_config for this host, which is written to the folder."""
    config = folder / "ssh_config"
    config.write_text(
        f"Host {host.name}\n HostName {host.state.address}\n Port {host.state.port}\n"
        f" User root\n IdentityFile {host.state.key}\n IdentitiesOnly yes\n"
        f" UserKnownHostsFile {host.state.known_hosts}\n StrictHostKeyChecking yes\n"
    )
    return testinfra.get_host(f"ssh://{host.name}", ssh_config=str(config))
