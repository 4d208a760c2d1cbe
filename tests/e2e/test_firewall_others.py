"""Firewalls and rules that others set up, on a host with real packets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.commands import check, deploy
from tests.e2e.firewalled import (
    ALLOWED,
    ALONE,
    CLOSED,
    ENGINE,
    OWN,
    SETTINGS,
    STEP,
    answer,
    change_without_confirming,
    failing,
    is_served,
    provision,
    remove,
    serve,
    state,
    wait_until,
)
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

ORACLE = """
iptables -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
iptables -A INPUT -p icmp -j ACCEPT
iptables -A INPUT -i lo -j ACCEPT
iptables -A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
iptables -A INPUT -j REJECT --reject-with icmp-host-prohibited
"""
# As ufw-docker adds it, for the engine's own network.
BLOCK = """
# BEGIN UFW AND DOCKER
*filter
:ufw-user-forward - [0:0]
:ufw-docker-logging-deny - [0:0]
:DOCKER-USER - [0:0]
-A DOCKER-USER -j ufw-user-forward
-A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A DOCKER-USER -m conntrack --ctstate INVALID -j DROP
-A DOCKER-USER -i docker0 -o docker0 -j ACCEPT
-A DOCKER-USER -j RETURN -s 172.17.0.0/16
-A DOCKER-USER -j ufw-docker-logging-deny -m conntrack --ctstate NEW -d 172.17.0.0/16
-A DOCKER-USER -j RETURN
-A ufw-docker-logging-deny -m limit --limit 3/min -j LOG --log-prefix "[UFW DOCKER BLOCK] "
-A ufw-docker-logging-deny -j DROP
COMMIT
# END UFW AND DOCKER
"""
WITH_OWN: dict[str, Any] = {"firewall_allow": [f"{ALLOWED}/tcp", f"{OWN}/tcp"], "adopt": True}
# As on a host on which nobody has set up a firewall: of chains that are left, ufw adds no jumps.
OPEN = """
ufw disable
/lib/ufw/ufw-init flush-all
for tool in iptables ip6tables; do
    $tool -P INPUT ACCEPT; $tool -F INPUT; $tool -F DOCKER-USER
done
nft delete table inet filter 2>/dev/null
systemctl restart docker
"""


@pytest.fixture(scope="module")
def used(hosts: Hosts) -> LabHost:
    (booted,) = hosts(HostSpec("firewall-others", "trixie"))
    assert deploy(booted, deploy=ALONE, firewall_enabled=False, **ENGINE).status == 0
    booted.run("apt-get -q update && apt-get -q -y install ufw", timeout=300)
    serve(booted, ALLOWED, CLOSED)
    booted.run("cp -a /etc/ufw /root/ufw")
    return booted


@pytest.fixture
def host(used: LabHost) -> Iterator[LabHost]:
    used.run(
        f"systemctl is-active --quiet own ||"
        f" systemd-run --unit=own busybox httpd -f -p {OWN} -h /root/web/www"
    )
    yield used
    remove(used)
    used.run(f"rm -rf /etc/ufw; cp -a /root/ufw /etc/ufw\n{OPEN}")
    wait_until(lambda: is_served(used, CLOSED), "the containers come back")


def fix(host: LabHost, id: str, **settings: Any) -> str:
    """The first command of a finding's advice."""
    findings = check(host, **{**SETTINGS, **settings}).findings
    return findings[id]["fix"].partition(";")[0].removeprefix("sudo ")


def test_oracles_image(host: LabHost) -> None:
    host.run(ORACLE)
    run = provision(host, **WITH_OWN)
    assert run.changed == {STEP: [host.name]}
    assert not is_served(host, OWN), "the REJECT comes before ufw"
    assert failing(host, **WITH_OWN).keys() == {"firewall.reached"}
    assert "INPUT -j REJECT" in failing(host, **WITH_OWN)["firewall.reached"]
    host.run(fix(host, "firewall.reached", **WITH_OWN))
    assert failing(host, **WITH_OWN) == {}
    assert is_served(host, OWN)
    assert answer(host, 22) == "SSH-"
    assert provision(host, **WITH_OWN).changed == {}


def test_a_rule_that_accepts_everything(host: LabHost) -> None:
    assert provision(host, adopt=True).status == 0
    assert not is_served(host, OWN)
    host.run("iptables -I INPUT -j ACCEPT")
    assert is_served(host, OWN)
    assert failing(host).keys() == {"firewall.foreign"}
    host.run(fix(host, "firewall.foreign"))
    assert failing(host) == {}
    assert not is_served(host, OWN)
    assert answer(host, 22) == "SSH-"


def test_a_table_of_nftables_that_drops(host: LabHost) -> None:
    assert provision(host, **WITH_OWN).status == 0
    assert is_served(host, OWN)
    host.run(
        "nft add table inet filter; nft add chain inet filter input"
        " '{ type filter hook input priority 0; policy drop; }';"
        " nft add rule inet filter input ct state established,related accept;"
        " nft add rule inet filter input iif lo accept;"
        " nft add rule inet filter input tcp dport 22 accept"
    )
    assert not is_served(host, OWN)
    assert is_served(host, ALLOWED), "what is forwarded to a container does not pass it"
    found = failing(host, **WITH_OWN)
    assert found.keys() == {"firewall.reached"}
    assert "nftables inet filter: the policy DROP of input" in found["firewall.reached"]
    assert f"{OWN}/tcp" in found["firewall.reached"]
    assert f"{ALLOWED}/tcp over IPv4" not in found["firewall.reached"]


def assert_as_declared(host: LabHost) -> None:
    wait_until(lambda: is_served(host, ALLOWED), "the allowed port is reached")
    assert not is_served(host, CLOSED)
    assert not is_served(host, OWN)
    assert answer(host, 22) == "SSH-"
    assert failing(host) == {}


@pytest.mark.parametrize("before", ["off", "on"])
def test_ufw_docker(host: LabHost, before: str) -> None:
    for file in ("after.rules", "after6.rules"):
        block = BLOCK if file == "after.rules" else BLOCK.replace("172.17.0.0/16", "fd00::/8")
        block = block.replace("ufw-", "ufw6-") if file == "after6.rules" else block
        host.run(f"cat >>/etc/ufw/{file}", stdin=block.encode())
    if before == "on":
        host.run("ufw allow 22/tcp; ufw --force enable")
        assert not is_served(host, ALLOWED), "ufw-docker closes it"
    refused = provision(host)
    assert refused.changed == {}
    assert "/etc/ufw/after.rules fills DOCKER-USER" in refused.stderr

    init = host.run("sha256sum /etc/ufw/after.init; stat -c %a /etc/ufw/after.init").stdout
    adopted = provision(host, adopt=True)
    assert adopted.status == 0, adopted.stderr
    assert_as_declared(host)
    for restart in ("ufw reload", "systemctl restart ufw", "ufw disable; ufw --force enable"):
        host.run(restart)
        assert_as_declared(host)
    if before == "on":
        host.reboot()
        assert_as_declared(host)
    assert provision(host).changed == {}
    host.run("chmod a-x /etc/ufw/after.init")
    assert failing(host).keys() == {"firewall.published"}
    assert provision(host).changed == {STEP: [host.name]}
    host.run("ufw reload")
    assert_as_declared(host)

    assert remove(host).status == 0
    after = host.run("sha256sum /etc/ufw/after.init; stat -c %a /etc/ufw/after.init").stdout
    assert after == init
    assert "BEGIN UFW AND DOCKER" in host.run("cat /etc/ufw/after.rules").stdout


def test_a_change_beside_ufw_docker_is_reverted_to_what_was_there(host: LabHost) -> None:
    host.run("cat >>/etc/ufw/after.rules", stdin=BLOCK.encode())
    host.run("ufw allow 22/tcp; ufw --force enable")
    before = state(host)
    change_without_confirming(host, seconds=3600)
    assert state(host) != before
    host.run("/usr/local/lib/gpuhost/firewall revert", timeout=120)
    assert state(host) == before


def test_a_network_that_names_its_bridge_keeps_its_rule(host: LabHost) -> None:
    host.run(
        "docker network create -o com.docker.network.bridge.name=br-mailcow mail;"
        " docker network create -o com.docker.network.bridge.name=office office;"
        " docker network create shop"
    )
    try:
        assert provision(host, adopt=True).status == 0
        for network in ("mail", "office", "shop", "bridge"):
            assert _reaches_the_host(host, network), network
        assert failing(host) == {}
        host.run("ip link add br-lan type bridge; ip link set br-lan up")
        assert failing(host).keys() == {"firewall.allow", "firewall.published"}
        assert provision(host).changed == {STEP: [host.name]}
        for network in ("mail", "office", "shop", "bridge"):
            assert _reaches_the_host(host, network), network
        assert " in on br-+" not in host.run("ufw show added").stdout
        assert failing(host) == {}
    finally:
        host.run("ip link del br-lan; docker network rm mail office shop", check=False)


def _reaches_the_host(host: LabHost, network: str) -> bool:
    """Whether a container on this network reaches a server of the host itself."""
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 5 {host.state.address} {OWN}"
    container = f'docker run --rm --network={network} web /bin/busybox sh -c "{ask}"'
    return "served" in host.run(container, check=False).stdout
