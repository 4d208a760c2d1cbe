"""The rules for published container ports, in the chain that Docker leaves to its users.

A published port is rewritten to the container's address before any filter sees it, and forwarded:
ufw never sees it. Connection tracking still knows its original destination.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gpuhost.domain.firewall.rule import Family, FirewallRule
from gpuhost.domain.firewall.tables import Tables, options

DOCKER_USER = "DOCKER-USER"
PUBLISHED = "GPUHOST-PUBLISHED"
ALLOWED = "GPUHOST-ALLOWED"
RULES: dict[Family, str] = {
    4: "/etc/gpuhost/firewall/published.v4",
    6: "/etc/gpuhost/firewall/published.v6",
}

# The bridges that Docker makes: docker0, docker_gwbridge, br-<12 hexadecimal digits>.
CONTAINERS = ("docker+", "br-+")
# Of ufw's rules that let containers reach the host.
CONTAINERS_COMMENT = "gpuhost-containers"
DOCKERS_OWN = re.compile(r"docker.*|br-[0-9a-f]{12}")
# The kernel takes nearly any name; ufw and iptables do not.
INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")


@dataclass(frozen=True)
class Bridges:
    """The bridges of containers, and those that only look like them.

    + own: as the engine names them
    + foreign: interfaces with a name like Docker's bridges that are not Docker's, such as br-lan
    """

    own: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    @classmethod
    def of(cls, own: Iterable[str], interfaces: Iterable[str], outside: str | None) -> Bridges:
        """outside: where other machines come in: never a container's, though Docker may use it."""
        known = {name for name in own if INTERFACE.fullmatch(name) and name != outside}
        alike = (name for name in interfaces if name.startswith("br-"))
        foreign = (n for n in alike if n == outside or not (n in known or DOCKERS_OWN.fullmatch(n)))
        return cls(tuple(sorted(known)), tuple(sorted(foreign)))

    @property
    def unusual(self) -> tuple[str, ...]:
        """Those of the engine that the patterns for Docker's names do not match."""
        return tuple(name for name in self.own if not name.startswith(("docker", "br-")))

    @property
    def trusted(self) -> tuple[str, ...]:
        """Names and patterns from which everything reaches the host."""
        if not self.foreign:
            return (*CONTAINERS, *self.unusual)
        return (CONTAINERS[0], *(name for name in self.own if not name.startswith("docker")))


def render(
    rules: Iterable[FirewallRule], bridges: Bridges, family: Family, final: bool = False
) -> str:
    """The file for `iptables-restore --noflush`, one version of IP.

    + rules: what may come in
    + bridges: of containers, and those with such a name that are not
    + final: what may come in is accepted at once: rules that follow in DOCKER-USER would drop it
    """
    lines = ["*filter", f":{PUBLISHED} - [0:0]", f":{ALLOWED} - [0:0]"]
    lines += [f"-A {PUBLISHED} {rule}" for rule in _published(bridges)]
    lines += [f"-A {ALLOWED} {rule}" for rule in _allowed(rules, bridges, family, final)]
    return "\n".join([*lines, "COMMIT", ""])


def _published(bridges: Bridges) -> Iterator[str]:
    """Accepts replies and traffic from containers; the rest is checked by port."""
    yield "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    for bridge in bridges.foreign:
        yield f"-i {bridge} -g {ALLOWED}"
    for bridge in (*CONTAINERS, *bridges.unusual):
        yield f"-i {bridge} -j RETURN"
    yield f"-g {ALLOWED}"


def _allowed(
    rules: Iterable[FirewallRule], bridges: Bridges, family: Family, final: bool
) -> Iterator[str]:
    """Traffic that is neither allowed nor for a container is foreign, and passes.

    The second half closes containers to neighbours that route directly to their addresses.
    """
    for rule in rules:
        if family in rule.families:
            yield from _returns(rule, final)
    yield "-m conntrack --ctstate DNAT -j DROP"
    for bridge in bridges.foreign:
        yield f"-o {bridge} -j RETURN"
    for bridge in (*CONTAINERS, *bridges.unusual):
        yield f"-o {bridge} -j DROP"


def _returns(rule: FirewallRule, final: bool) -> Iterator[str]:
    source = f"-s {rule.source} " if rule.source and rule.source.prefixlen else ""
    state, target = ("--ctstate DNAT ", "ACCEPT") if final else ("", "RETURN")
    if rule.first is None:
        yield f"{source}{f'-m conntrack {state}' if state else ''}-j {target}"
        return
    for protocol in rule.protocols:
        ports = f"--ctorigdstport {rule.ports}"
        yield f"{source}-p {protocol} -m conntrack {state}{ports} -j {target}"


def fault(expected: str, kernel: Tables) -> str:
    """Why the kernel does not have the rules of a rendered file; "": it has them.

    + expected: the file's text, as `render` made it
    """
    if not kernel.chain("FORWARD").jumps_to(DOCKER_USER):
        return f"FORWARD does not lead to {DOCKER_USER}"
    if not kernel.chain(DOCKER_USER).jumps_to(PUBLISHED):
        return f"{DOCKER_USER} does not lead to {PUBLISHED}"
    tables = Tables.parse(expected)
    for name in (PUBLISHED, ALLOWED):
        if not _same(tables.chain(name).rules, kernel.chain(name).rules):
            return f"the kernel's chain {name} differs"
    return ""


def _same(tables: tuple[str, ...], actual: tuple[str, ...]) -> bool:
    return [options(rule) for rule in tables] == [options(rule) for rule in actual]
