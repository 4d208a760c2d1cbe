"""Which bridges are the engine's, and which are the host's own."""

from __future__ import annotations

import pytest

from gpuhost.domain.firewall.published import Bridges
from gpuhost.plans.firewall import change
from gpuhost.settings import Settings
from tests.firewall.test_reading import RECORDED
from tests.recorded import snapshot_of

BRIDGES: list[tuple[tuple[str, ...], str, str | None, tuple[str, ...], tuple[str, ...]]] = [
    (
        ("docker0",),
        "lo eth0 docker0 docker_gwbridge br-0123456789ab",
        "eth0",
        (),
        ("docker+", "br-+"),
    ),
    # mailcow's network names its bridge; so do others, and `dockerd -b`.
    (("docker0", "br-mailcow"), "eth0 br-mailcow", "eth0", (), ("docker+", "br-+")),
    (("lan0", "mail"), "eth0 lan0 mail", "eth0", (), ("docker+", "br-+", "lan0", "mail")),
    # A bridge of the host's own: the pattern would open it, so each of the engine's is named.
    (
        ("docker0", "br-0123456789ab", "br-mailcow"),
        "br-0123456789ab br-lan br-mailcow",
        "eth0",
        ("br-lan",),
        ("docker+", "br-0123456789ab", "br-mailcow"),
    ),
    ((), "br-ex br-lan", None, ("br-ex", "br-lan"), ("docker+",)),
    # Docker on the bridge through which other machines come in.
    (("br0",), "br0 eth0", "br0", (), ("docker+", "br-+")),
    (("br-ex",), "br-ex eth0", "br-ex", ("br-ex",), ("docker+",)),
    (("a name", "-x;reboot"), "eth0", "eth0", (), ("docker+", "br-+")),
]


@pytest.mark.parametrize(("own", "interfaces", "outside", "foreign", "trusted"), BRIDGES)
def test_bridges_are_the_engines_or_the_hosts_own(
    own: tuple[str, ...],
    interfaces: str,
    outside: str | None,
    foreign: tuple[str, ...],
    trusted: tuple[str, ...],
) -> None:
    bridges = Bridges.of(own, interfaces.split(), outside)
    assert bridges.foreign == foreign
    assert bridges.trusted == trusted


def test_an_engine_that_does_not_run_takes_no_rule_away() -> None:
    """Its bridges stay, but nobody says that they are its own."""
    probes = {"interfaces": {"out": "eth0\ndocker0\nbr-mailcow\n"}}
    stopped = {**probes, "docker_networks": None}
    assert (
        snapshot_of({"host": "firewall-guarded", "probes": stopped}).firewall.bridges.foreign == ()
    )
    fresh = {"host": "firewall-used", "probes": stopped}
    assert snapshot_of(fresh).firewall.bridges.foreign == ("br-mailcow",)


def test_bridges_of_an_engine_that_does_not_answer_stay_allowed() -> None:
    """A name that only the engine gave: without it, the rules for it must not be removed."""
    tuples = {
        f"/etc/ufw/user{six}.rules": RECORDED["files"][f"/etc/ufw/user{six}.rules"]
        + f"### tuple ### allow any any {anywhere} any {anywhere} in_mailnet0"
        f" comment={b'gpuhost-containers'.hex()}\n"
        for six, anywhere in (("", "0.0.0.0/0"), ("6", "::/0"))
    }
    silent = {"rc": 1, "out": "", "err": "Cannot connect to the Docker daemon"}
    probes = {"docker_networks": silent, "docker_containers": silent, "docker_info": silent}
    firewall = snapshot_of({"host": "firewall-guarded", "files": tuples, "probes": probes}).firewall
    assert firewall.bridges.own == ("mailnet0",)
    assert "on mailnet0" not in change(firewall, Settings())
