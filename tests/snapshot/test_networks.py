"""The bridges of an engine's networks, as the collector reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.networks import Networks
from gpuhost.snapshot.request import Request

IDS = {name: digit * 64 for name, digit in (("bridge", "a"), ("mail", "b"), ("shop", "c"))}
LISTED = (
    f"bridge\tbridge\t\t\t{IDS['bridge']}\n"
    f"host\thost\t\t\t{'d' * 64}\n"
    f"lan\tmacvlan\t\t\t{'e' * 64}\n"
    f"swarm\toverlay\t\t\t{'f' * 64}\n"
    f"mail\tbridge\tmail\tdefault\t{IDS['mail']}\n"
    f"shop\tbridge\tshop\tdefault\t{IDS['shop']}\n"
)


def read(listed: str = LISTED, named: str | None = None, rc: int = 0) -> Networks:
    probes = {"docker_networks": Probe(0, listed)}
    if named is not None:
        probes["docker_bridges"] = Probe(rc, named, "" if rc == 0 else "overloaded")
    return Networks.read(Probes(probes))


@pytest.mark.parametrize(
    ("named", "bridges"),
    [
        (None, ("br-bbbbbbbbbbbb", "br-cccccccccccc", "docker0")),
        (f"{IDS['mail']} br-mailcow\n", ("br-cccccccccccc", "br-mailcow", "docker0")),
        # dockerd -b, or `bridge` in daemon.json: the engine tells it of its network `bridge`.
        (f"{IDS['bridge']} lan0\n{IDS['mail']} mail\n", ("br-cccccccccccc", "lan0", "mail")),
        (f"{IDS['bridge']} docker0\n{IDS['mail']} \n{IDS['shop']} \n",
         ("br-bbbbbbbbbbbb", "br-cccccccccccc", "docker0")),
    ],
)  # fmt: skip
def test_bridges_as_the_engine_names_them(named: str | None, bridges: tuple[str, ...]) -> None:
    assert read(named=named).bridges == bridges


def test_a_network_that_is_gone_hides_no_other() -> None:
    assert "br-mailcow" in read(named=f"{IDS['mail']} br-mailcow\n", rc=1).bridges


def test_networks_that_cannot_be_listed_are_not_read() -> None:
    with pytest.raises(NotRead, match="overloaded"):
        read(named="", rc=2)


def test_without_an_engine_there_are_no_bridges() -> None:
    assert Networks.read(Probes({})).bridges == ()


@pytest.mark.parametrize(
    ("bridges", "named"),
    [
        ("", False),
        ("docker0 docker_gwbridge br-0123456789ab", False),
        ("docker0 br-mailcow", True),
        ("br-0123456789abc", True),
        ("br-0123456789aX", True),
        ("virbr0", True),
    ],
)
def test_names_are_asked_for_only_where_a_bridge_has_one(
    tmp_path: Path, bridges: str, named: bool
) -> None:
    for bridge in bridges.split():
        (tmp_path / bridge / "bridge").mkdir(parents=True)
    (tmp_path / "eth0").mkdir()
    text = script(Request()).replace("/sys/class/net", str(tmp_path))
    assert "main </dev/null\n" in text
    text = text.replace("main </dev/null\n", "has_named_bridge\n")
    done = subprocess.run(["/bin/sh"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0 if named else 1, b"")
