"""The ports that rules name: those to try, to see what the rules do."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpuhost.domain.firewall.rule import Protocol

PORTS = re.compile(r"--(?:dports?|ctorigdstport) ([\d,:]+)|[a-z]+ dport (\{[^}]*\}|[\d-]+)")
NUMBERS = re.compile(r"(\d{1,5})(?:[:-](\d{1,5}))?")
UDP = re.compile(r"-p udp|udp dport")
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")
# Ports for "any other port": that of no program.
UNNAMED = (4, 57, 60, 1021)
UNNAMED_PORT = UNNAMED[0]


def named_ports(rules: Iterable[str]) -> set[tuple[int, Protocol]]:
    """The ends of every range of ports in these rules."""
    return {
        (int(port), "udp" if UDP.search(rule) else "tcp")
        for rule in rules
        for match in PORTS.finditer(rule)
        for ends in NUMBERS.findall(match[1] or match[2])
        for port in ends
        if port and 0 < int(port) < 65536
    }


def unnamed_port(rules: Iterable[str]) -> int:
    """A port that is in no range of these rules; the first one if there is none."""
    ranges = [
        (int(first), int(last or first))
        for rule in rules
        for match in PORTS.finditer(rule)
        for first, last in NUMBERS.findall(match[1] or match[2])
    ]
    free = (port for port in UNNAMED if not any(a <= port <= b for a, b in ranges))
    return next(free, UNNAMED_PORT)
