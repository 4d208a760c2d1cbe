"""Tries packets against the kernel: run as root on a lab host, with Python and nothing else.

Reads a JSON list of rulesets from stdin: tool, family, rules, packets (port, protocol). Each gets a
host, a neighbour and a container, which are network namespaces, and its rules; each port is served.
Prints what became of each packet.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

HOST, NEIGHBOUR, CONTAINER = "walk-host", "walk-neighbour", "walk-container"
NEW_NETWORK = 0x40000000
ADDRESS = {4: "198.51.100.2", 6: "fd51::2"}
# A SYN is sent again after a second: only then does the kernel report some refusals.
WAIT = 2
NETWORK = f"""
ip netns add {HOST}; ip netns add {NEIGHBOUR}; ip netns add {CONTAINER}
ip link add eth0 netns {HOST} type veth peer name eth0 netns {NEIGHBOUR}
ip link add to0 netns {HOST} type veth peer name eth0 netns {CONTAINER}
H="ip -n {HOST}" N="ip -n {NEIGHBOUR}" C="ip -n {CONTAINER}"
$H link add docker0 type bridge; $H link set to0 master docker0
$H address add 198.51.100.2/24 dev eth0; $H -6 address add fd51::2/64 dev eth0 nodad
$H address add 172.17.0.1/16 dev docker0
$N address add 198.51.100.9/24 dev eth0; $N -6 address add fd51::9/64 dev eth0 nodad
$C address add 172.17.0.2/16 dev eth0
for link in lo eth0 to0 docker0; do $H link set $link up; done
for link in lo eth0; do $N link set $link up; $C link set $link up; done
$H route add default via 198.51.100.9; $C route add default via 172.17.0.1
in_host="ip netns exec {HOST} sysctl -q -w"
$in_host net.ipv4.ip_forward=1
$in_host net.ipv4.icmp_ratelimit=0; $in_host net.ipv6.icmp.ratelimit=0
"""
REMOVE = f"for n in {HOST} {NEIGHBOUR} {CONTAINER}; do ip netns del $n 2>/dev/null; done; true"


def enter(name: str) -> None:
    """Go into a network namespace, for good."""
    with Path(f"/run/netns/{name}").open(encoding="ascii") as namespace:
        if ctypes.CDLL(None).setns(namespace.fileno(), NEW_NETWORK) != 0:
            raise OSError(f"setns {name}")


def serve(name: str, ports: list[tuple[str, int]]) -> int:
    """Answer on these ports in a child process; its id, once it listens."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        os.read(read, 1)
        os.close(read)
        return child
    enter(name)
    datagrams = []
    streams = []
    for protocol, port in ports:
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        listener = socket.socket(socket.AF_INET6, kind)
        listener.bind(("::", port))
        if protocol == "tcp":
            listener.listen(8)
            streams.append(listener)
        else:
            datagrams.append(listener)
    os.write(write, b"1")
    while True:
        for ready in select.select([*datagrams, *streams], [], [])[0]:
            with suppress(OSError):
                if ready in streams:
                    connection, _ = ready.accept()
                    connection.send(b"!")
                    connection.close()
                else:
                    ready.sendto(*ready.recvfrom(64))


def ask(family: int, protocol: str, port: int) -> str:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, kind) as client:
        client.settimeout(WAIT)
        try:
            client.connect((ADDRESS[family], port))
            if protocol == "udp":
                client.send(b"?")
            return "accept" if client.recv(8) else "reject"
        except TimeoutError:
            return "drop"
        except OSError:
            return "reject"


def ask_all(family: int, packets: list[tuple[str, int]]) -> list[str]:
    """`ask` in the neighbour, all at once, in child processes that can enter its namespace."""
    reading = []
    for packet in packets:
        read, write = os.pipe()
        if not os.fork():
            enter(NEIGHBOUR)
            os.write(write, ask(family, *packet).encode())
            os._exit(0)
        os.close(write)
        reading.append(read)
    answers = [os.read(read, 16).decode() for read in reading]
    for read in reading:
        os.close(read)
        os.wait()
    return answers


def load(tool: str, rules: str) -> None:
    command = ["nft", "-f", "-"] if tool == "nft" else [f"{tool}-restore"]
    subprocess.run(
        ["ip", "netns", "exec", HOST, *command], input=rules.encode(), check=True, timeout=30
    )


def try_all(ruleset: dict[str, Any]) -> list[str]:
    subprocess.run(["sh", "-c", REMOVE], check=True, timeout=30)
    subprocess.run(["sh", "-ec", NETWORK], check=True, timeout=30)
    load(ruleset["tool"], ruleset["rules"])
    packets = [(packet["protocol"], packet["port"]) for packet in ruleset["packets"]]
    served = sorted({*packets, ("tcp", 8083)})
    children = [serve(HOST, served), serve(CONTAINER, [("tcp", 80)])]
    try:
        return ask_all(ruleset["family"], packets)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        subprocess.run(["sh", "-c", REMOVE], check=True, timeout=30)


if __name__ == "__main__":
    print(json.dumps([try_all(ruleset) for ruleset in json.load(sys.stdin)]))
