"""A container that publishes two ports, one of them allowed, and what is seen of it outside."""

from __future__ import annotations

import socket
import time

from tests.lab.process import Deadline
from tests.lab.vm import VirtualMachine

ALLOWED, CLOSED = 8080, 8081
# Emulated, an answer takes a good part of a second.
ANSWER_SECONDS = 15
# One container: which of two gets which address at boot is chance. With --init it ends when it is
# told to: the engine leaves its containers to the shutdown, which waits 90 seconds for others.
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
    """Whether a web server in the machine answers another one.

    + port: of the guest
    """
    address = ("127.0.0.1", machine.ports[port])
    try:
        with socket.create_connection(address, timeout=ANSWER_SECONDS) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"served" in connection.makefile("rb").read()
    except OSError:
        return False


def until_served(machine: VirtualMachine) -> float:
    """Wait for the container; how long its answer then takes, in seconds."""
    deadline = Deadline(300, f"port {ALLOWED} is reached")
    while True:
        asked = time.monotonic()
        if is_served(machine, ALLOWED):
            return time.monotonic() - asked
        deadline.pause()


def assert_closed_but_for_the_allowed(machine: VirtualMachine) -> None:
    """The closed port answers inside, and the allowed one outside: else silence proves nothing."""
    assert machine.run(f"curl -sS -m 60 http://127.0.0.1:{CLOSED}/") == "served\n"
    assert until_served(machine) < ANSWER_SECONDS / 2
    assert not is_served(machine, CLOSED)
