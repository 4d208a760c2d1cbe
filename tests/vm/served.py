"""A container that publishes two ports, one of them allowed, and requests to it from outside."""

from __future__ import annotations

import socket
import time

from tests.lab.process import Deadline
from tests.lab.vm import VirtualMachine

ALLOWED, CLOSED = 8080, 8081
# An answer of the emulated machine takes almost a second.
ANSWER_SECONDS = 15
# One container: two would get addresses in random order at boot. With --init it ends on SIGTERM;
# the shutdown waits 90 seconds for a container that does not.
SERVE = f"""
set -e
mkdir -p /root/web/bin /root/web/www
cp /bin/busybox /root/web/bin/
echo served >/root/web/www/index.html
tar -c -C /root/web . | docker import - web
docker run -d --init --restart=always -p {ALLOWED}:80 -p {CLOSED}:80 --name web \\
    web /bin/busybox httpd -f -h /www
"""


def is_served(machine: VirtualMachine, port: int) -> bool:
    """Whether a web server in the machine answers this machine.

    + port: of the guest
    """
    address = ("127.0.0.1", machine.ports[port])
    try:
        with socket.create_connection(address, timeout=ANSWER_SECONDS) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"served" in connection.makefile("rb").read()
    except OSError:
        return False


def wait_until_served(machine: VirtualMachine) -> float:
    """Wait for the container; return how long its answer then takes, in seconds."""
    deadline = Deadline(300, f"port {ALLOWED} is reached")
    while True:
        started = time.monotonic()
        if is_served(machine, ALLOWED):
            return time.monotonic() - started
        deadline.pause()


def assert_only_the_allowed_port_is_open(machine: VirtualMachine) -> None:
    """Only the allowed port answers outside; inside, the closed one answers too."""
    assert machine.run(f"curl -sS -m 60 http://127.0.0.1:{CLOSED}/") == "served\n"
    assert wait_until_served(machine) < ANSWER_SECONDS / 2
    assert not is_served(machine, CLOSED)
