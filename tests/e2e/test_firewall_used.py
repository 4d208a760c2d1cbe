"""The firewall on a machine in use: refused without adopt, applied with it, and removed."""

from __future__ import annotations

import pytest

from tests.e2e.commands import deploy
from tests.e2e.firewalled import (
    ALONE,
    CLOSED,
    ENGINE,
    OWN,
    STEP,
    failing,
    is_served,
    provision,
    remove,
    serve,
    state,
)
from tests.lab.fixtures import Hosts
from tests.lab.lab import HostSpec

pytestmark = pytest.mark.lab


def test_a_machine_in_use_needs_adopt_and_keeps_its_rules(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("firewall-used", "bookworm"))
    assert deploy(host, deploy=ALONE, firewall_enabled=False, **ENGINE).status == 0
    host.run("apt-get -q -y install ufw", timeout=300)
    serve(host, CLOSED)
    host.run("ufw deny 9999/tcp; ufw allow from 192.0.2.7 to any port 5432 proto tcp")
    host.run("iptables -I DOCKER-USER -s 198.51.100.9 -j DROP")
    host.run("iptables -A INPUT -p udp --dport 9 -j DROP")
    before = state(host)

    refused = provision(host)
    assert (refused.status, refused.changed) == (0, {})
    assert failing(host).keys() == {"firewall.enabled"}
    for named in (f"{CLOSED}/tcp (container web{CLOSED})", "deny 9999/tcp", "198.51.100.9"):
        assert named in refused.stderr
    assert state(host) == before
    assert is_served(host, CLOSED)

    adopted = provision(host, adopt=True)
    assert (adopted.status, adopted.changed) == (0, {STEP: [host.name]})
    assert not is_served(host, CLOSED)
    assert failing(host) == {}
    rules = host.run("cat /etc/ufw/user.rules; iptables-save")
    for kept in (
        "deny tcp 9999",
        "192.0.2.7",
        "-s 198.51.100.9/32 -j DROP",
        "udp --dport 9 -j DROP",
    ):
        assert kept in rules.stdout

    removal = remove(host)
    assert (removal.status, removal.changed) == (0, {"Firewall removed": [host.name]})
    assert is_served(host, CLOSED)
    after = state(host)
    assert "GPUHOST" not in after
    assert host.run("ufw status").stdout == "Status: inactive\n"
    for kept in ("-s 198.51.100.9/32 -j DROP", "udp --dport 9 -j DROP"):
        assert kept in after
    assert "deny tcp 9999" in host.run("cat /etc/ufw/user.rules").stdout
    left = host.run("ls /usr/local/lib/gpuhost /etc/systemd/system | grep -i firewall", check=False)
    assert left.stdout == ""
    assert remove(host).changed == {}

    # Somebody's own ufw, which lets everything in.
    host.run(f"busybox httpd -p {OWN} -h /root/web/www; ufw default allow; ufw --force enable")
    refused = provision(host)
    assert (refused.status, refused.changed) == (0, {})
    assert f"would close {OWN}/tcp (busybox)" in refused.stderr
    assert is_served(host, OWN)
