"""A closed host with rules of others before ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gpuhost.checks.finding import Finding
from gpuhost.checks.registry import run_checks
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from tests.firewall.test_reading import RECORDED
from tests.recorded import snapshot_of

SETTINGS = Settings(
    firewall_allow=("8080/tcp", "3000/tcp from 10.0.0.0/8", "8000:8100/tcp from 2001:db8::/32")
)
ADDRESSES = """\
1: lo    inet 127.0.0.1/8 scope host lo
2: eth0    inet 172.19.0.2/16 brd 172.19.255.255 scope global eth0
2: eth0    inet6 2001:db8:1::2/64 scope global
3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0
"""
ROUTES = """\
Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 010013AC 0003 0 0 0 00000000 0 0 0
eth0 000013AC 00000000 0001 0 0 0 0000FFFF 0 0 0
"""
NAT = """\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""
UFW = "-A INPUT -j ufw-before-logging-input\n"
HEALTHY = {"firewall.reached": "ok", "firewall.foreign": "ok"}
CHAIN = "*filter\n:{name} - [0:0]\n{rules}COMMIT\n"
DOCKER_USER = "-A FORWARD -j DOCKER-USER\n"


def snapshot(
    before_ufw: str = "", before_docker: str = "", behind: str = "", in_ufw: str = "", **more: Any
) -> Snapshot:
    """The recorded host with rules of others in INPUT or FORWARD.

    + behind: tables and chains of others
    + in_ufw: a rule that comes first in a chain of ufw
    """
    saved = RECORDED["probes"]["iptables_save"]["out"]
    if in_ufw:
        chain = in_ufw.split(" -", 2)[0] + " "
        assert chain in saved
        saved = saved.replace(chain, f"{in_ufw}\n{chain}", 1)
    saved = saved.replace(UFW, before_ufw + UFW).replace(DOCKER_USER, before_docker + DOCKER_USER)
    probes = {
        "iptables_save": {"out": f"{saved}\n{NAT}{behind}"},
        "addresses": {"out": ADDRESSES},
        **more.pop("probes", {}),
    }
    files = {"/proc/net/route": ROUTES, **more.pop("files", {})}
    return snapshot_of({"host": "firewall-guarded", "probes": probes, "files": files})


def findings(host: Snapshot, settings: Settings = SETTINGS) -> dict[str, Finding]:
    return {finding.id: finding for finding in run_checks(host, settings, ["firewall"])}


@dataclass(frozen=True)
class Case:
    """Rules of others on a closed host. says: in which check, what it says."""

    name: str
    status: dict[str, str]
    says: tuple[str, ...] = ()
    rules: dict[str, Any] = field(default_factory=dict)


def wrong(case: Case) -> dict[str, object]:
    """What differs from the case: a status, words that no finding says, findings that fail beside.

    Empty: nothing but what the case names fails, and the findings say what the case says.
    """
    found = findings(snapshot(**case.rules))
    status = {id: found[id].status.value for id in case.status}
    text = "\n".join(
        f"{f.actual}\n{f.evidence}\n{f.fix}" for id, f in found.items() if id in case.status
    )
    failed = {id for id, f in found.items() if f.status.value in ("fail", "unknown")}
    differences: dict[str, object] = {
        "status": status if status != case.status else {},
        "not said": [words for words in case.says if words not in text],
        "unlisted": failed - case.status.keys(),
    }
    return {name: value for name, value in differences.items() if value} and {
        **differences,
        "findings": text,
    }
