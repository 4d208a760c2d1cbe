"""Hosts with a firewall: provision them, check them, and connect from outside."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tests.e2e.commands import Run, check, deploy, start
from tests.lab.hosts import LabHost
from tests.lab.process import Deadline

ALONE = "tests/e2e/firewall_alone.py"
STEP = "Firewall"
PENDING = "/var/lib/gpuhost/firewall/pending"
LOCK = "/run/gpuhost-firewall/lock"
ALLOWED, CLOSED, OWN = 8080, 8081, 7777
# The distributions' own engines are 20.10 and 26.1; Docker's packages have one version for both.
ENGINE: dict[str, Any] = {"docker_source": "distro"}
SETTINGS: dict[str, Any] = {"firewall_allow": [f"{ALLOWED}/tcp"], **ENGINE}

# A static web server, for a container and for the host itself.
IMAGE = """
set -e
apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install busybox-static
mkdir -p /root/web/bin /root/web/www
cp /bin/busybox /root/web/bin/ && echo served >/root/web/www/index.html
"""
CONTAINER = (
    "docker run -d --restart=always -p {port}:80 --name web{port} web /bin/busybox httpd -f -h /www"
)
# Everything that a change of the firewall can modify, without counters and comments.
STATE = """
for tool in iptables ip6tables; do $tool-save | grep -v '^#' | sed 's/ \\[[0-9:]*\\]$//'; done
echo files:
find /etc/ufw /etc/default/ufw /etc/gpuhost -type f 2>/dev/null | sort | xargs stat -c '%n %a %U:%G'
find /etc/ufw /etc/default/ufw /etc/gpuhost -type f 2>/dev/null | sort | xargs sha256sum
systemctl is-enabled ufw.service
"""


def provision(host: LabHost, **settings: Any) -> Run:
    return deploy(host, deploy=ALONE, **{**SETTINGS, **settings})


def change_without_confirming(host: LabHost, seconds: int) -> None:
    """Kill the controller as soon as the revert timer runs, long before its new login."""
    process = start(ALONE, host, **SETTINGS, adopt=True, firewall_confirm_s=seconds)
    try:
        begun = host.run(
            f"timeout 60 sh -c 'until [ -d {PENDING} ]; do sleep 0.05; done'", check=False
        )
    finally:
        process.kill()
        output = process.communicate()
    assert begun.status == 0, output
    wait_until(lambda: not is_changing(host), "the change is made")


def is_changing(host: LabHost) -> bool:
    """Whether the guard is still changing rules: it holds its lock meanwhile."""
    return host.run(f"flock -n {LOCK} true", check=False).status != 0


def remove(host: LabHost) -> Run:
    return deploy(host, deploy="deploys/remove.py", remove="firewall")


def firewall(host: LabHost, **settings: Any) -> dict[str, str]:
    """The status of the firewall's checks, by id."""
    status = check(host, **{**SETTINGS, **settings}).status
    return {id: value for id, value in status.items() if id.startswith("firewall.")}


def failing(host: LabHost, **settings: Any) -> dict[str, str]:
    """The actual value of each firewall check that fails or is unknown, by id."""
    findings = check(host, **{**SETTINGS, **settings}).findings.values()
    return {
        finding["id"]: finding["actual"]
        for finding in findings
        if finding["id"].startswith("firewall.") and finding["status"] in ("fail", "unknown")
    }


def state(host: LabHost) -> str:
    """Tables, files and the unit that a change can modify; tables without effect are omitted.

    iptables creates a missing table, empty and open, when it lists or restores it.
    """
    tables, files = host.run(STATE).stdout.split("files:\n")
    working = [t for t in tables.split("COMMIT\n") if "-A " in t or " -" in t or " DROP" in t]
    return "COMMIT\n".join([*working, files])


def answer(host: LabHost, port: int) -> str:
    """The answer of a server on the host to another machine; "" if it cannot be reached."""
    try:
        with socket.create_connection((host.state.address, port), timeout=2) as connection:
            if port not in (22, 2222):
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.makefile("rb").read(4 if port in (22, 2222) else -1).decode()
    except OSError:
        return ""


def is_served(host: LabHost, port: int) -> bool:
    return "served" in answer(host, port)


def serve(host: LabHost, *ports: int) -> None:
    """Start containers that publish these ports."""
    host.run(IMAGE, timeout=300)
    host.run("tar -c -C /root/web . | docker import - web")
    for port in ports:
        host.run(CONTAINER.format(port=port))


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = Deadline(seconds, what)
    while not condition():
        deadline.pause()
