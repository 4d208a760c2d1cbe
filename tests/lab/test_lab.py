"""The lab itself: its hosts are like servers, and simulated cards behave like real ones."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab import cards, containers, images, process
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.inventory import pyinfra_hosts
from tests.lab.keys import host_key
from tests.lab.lab import HostSpec, Lab
from tests.lab.process import LabError

pytestmark = pytest.mark.lab

NOT_ON_A_BLANK_HOST = ("docker", "dockerd", "ufw", "gpg", "lspci", "nvidia-smi")


@pytest.fixture(params=images.RELEASES)
def host(request: pytest.FixtureRequest, debians: list[LabHost]) -> LabHost:
    """A shared host without a card, of each release."""
    return next(host for host in debians if host.state.release == request.param)


def test_a_host_is_a_booted_server(host: LabHost) -> None:
    assert host.run("systemctl is-system-running").stdout.strip() == "running"
    assert host.run("readlink /proc/1/exe").stdout.strip().endswith("/systemd")
    assert host.run("hostname").stdout.strip() == host.name
    number = images.NUMBER_OF[host.state.release]
    assert f'VERSION_ID="{number}"' in host.run("cat /etc/os-release").stdout


def test_a_host_is_blank(host: LabHost) -> None:
    for command in NOT_ON_A_BLANK_HOST:
        assert host.run(f"command -v {command}", check=False).status != 0, command
    assert host.run("nft list ruleset").stdout == ""
    assert host.run("awk '$2 ~ \"^/etc/\"' /proc/mounts").stdout == ""
    assert host.run("id -nG ops").stdout.split() == ["ops"]


def test_sudo_rights_of_each_user(host: LabHost) -> None:
    assert host.ssh("id -un").stdout == "root\n"
    assert host.ssh("sudo -n id -un", user="ops").stdout == "root\n"
    refused = host.ssh("sudo -n id -un", user="locked", check=False)
    assert (refused.status, refused.stdout) == (1, "")
    assert "password is required" in refused.stderr
    given = host.ssh("echo locked | sudo -S -p '' id -un", user="locked")
    assert given.stdout == "root\n"


def test_a_wrong_host_key_is_refused(host: LabHost, tmp_path: Path) -> None:
    wrong = tmp_path / "known_hosts"
    wrong.write_text(f"{host.state.address} {host_key('another').public_line}\n")
    impostor = replace(host, state=replace(host.state, known_hosts=str(wrong)))
    refused = impostor.ssh("true", check=False)
    assert refused.status == 255
    assert "Host key verification failed" in refused.stderr


def test_packages_can_be_installed(host: LabHost) -> None:
    host.run("apt-get -q update && apt-get -q install -y --no-install-recommends ethtool")
    assert host.run("command -v ethtool").stdout.strip().endswith("ethtool")


def test_hosts_reach_each_other(debians: list[LabHost]) -> None:
    first, second = debians
    banner = f"exec 3<>/dev/tcp/{second.state.address}/22; head -c 4 <&3"
    assert first.run(f"bash -c '{banner}'").stdout == "SSH-"


def test_pyinfra_gets_the_hosts(lab: Lab, host: LabHost) -> None:
    listed = dict(pyinfra_hosts(lab.name))
    assert set(listed) == set(lab.hosts)
    data = listed[host.name]
    assert data["ssh_strict_host_key_checking"] == "yes"
    assert data["swap_path"] == "/srv/swap/swapfile"
    assert data["docker_mirror"] == f"{lab.repository.base}/docker-ce"
    assert len(data["docker_key_fingerprint"]) == len(data["toolkit_key_fingerprint"]) == 40


def test_a_mirror_is_good_stale_or_broken(lab: Lab, host: LabHost) -> None:
    release = host.state.release
    date = {
        name: host.run(
            f"curl -fsS {lab.repository.base}/{name}/debian/dists/{release}-updates/InRelease"
            " | sed -n 's/^Date: //p' | date -f - +%s"
        ).stdout
        for name in ("mirror", "stale-mirror", "broken-mirror")
    }
    now = int(host.run("date +%s").stdout)
    assert now - int(date["stale-mirror"]) > 30 * 24 * 3600
    assert int(date["mirror"]) > int(date["stale-mirror"])
    assert date["broken-mirror"] == date["mirror"]
    for name, works in (("mirror", True), ("broken-mirror", False)):
        line = f"deb {lab.repository.base}/{name}/debian {release} main"
        options = "-o Dir::Etc::sourcelist=/tmp/one.list -o Dir::Etc::sourceparts=/dev/null"
        options += f" -o Dir::State::lists=/tmp/lists-{name} --error-on=any"
        host.run(f"mkdir -p /tmp/lists-{name}/partial; echo '{line}' >/tmp/one.list")
        update = host.run(f"apt-get {options} update", check=False)
        assert (update.status == 0) is works, f"{name}: {update.stdout}{update.stderr}"


def test_a_host_is_reset_to_a_snapshot_and_to_blank(lab: Lab) -> None:
    (host,) = lab.boot(HostSpec("copied", "trixie"))
    host.run("echo kept >/root/mark && echo layer >/var/lib/docker/layer")
    kept = host.snapshot("marked")
    host.run("rm /root/mark /var/lib/docker/layer; echo later >/root/later")
    host.reset(kept)
    assert host.run("cat /root/mark /var/lib/docker/layer").stdout == "kept\nlayer\n"
    assert host.run("ls /root/later", check=False).status != 0
    (twin,) = lab.boot(HostSpec("twin", "trixie", snapshot=kept))
    assert twin.ssh("hostname; cat /root/mark").stdout == "twin\nkept\n"
    assert twin.state.address != host.state.address
    host.reset()
    assert host.run("ls /root/mark /var/lib/docker/layer", check=False).stdout == ""
    for each in (host, twin):
        lab.remove(each.name)


def test_a_reboot_keeps_disks_and_forgets_kernel_state(lab: Lab) -> None:
    (host,) = lab.boot(HostSpec("rebooted", "bookworm", card="p40"))
    host.run("echo '10.9.8.7 elsewhere' >>/etc/hosts && iptables -A INPUT -s 192.0.2.9 -j DROP")
    booted = host.run("cut -d' ' -f22 /proc/1/stat").stdout
    host.reboot()
    assert host.run("cut -d' ' -f22 /proc/1/stat").stdout != booted
    assert "10.9.8.7 elsewhere" in host.run("cat /etc/hosts").stdout
    assert host.run("nft list ruleset").stdout == ""
    assert "535.183.01" in host.run("cat /proc/driver/nvidia/version").stdout
    assert host.run("nvidia-smi -L").stdout.startswith("GPU 0: Tesla P40 (UUID: GPU-")
    lab.remove(host.name)


ABANDONING = """
import os, signal
from tests.lab.lab import Lab, HostSpec
from tests.lab.process import this_process

lab = Lab("abandoned", owner=this_process())
lab.boot(HostSpec("orphan", "trixie"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_leftovers_of_a_killed_process_are_removed(lab: Lab) -> None:
    killed = subprocess.run([sys.executable, "-c", ABANDONING], timeout=120, check=False)
    assert killed.returncode == -9

    def left() -> list[str]:
        names = lab.engine.docker("ps", "-a", "--format", "{{.Names}}")
        names += lab.engine.docker("volume", "ls", "--format", "{{.Name}}")
        return sorted(name for name in names.split() if name.endswith(("orphan", "orphan-swap")))

    assert len(left()) == 2
    (orphan,) = (name for name in left() if name.endswith("orphan"))
    # Every worker of a test run removes them first; the engine may be removing them already.
    with ThreadPoolExecutor() as pool:
        pool.submit(lab.engine.run, "rm", "-f", orphan, check=False)
        removed = list(pool.map(containers.remove_abandoned, [lab.engine] * 4))
    assert sum(removed) <= 1
    assert left() == []


HOLDING_LISTS = """
import fcntl, time
with open("/var/lib/apt/lists/lock", "w") as lists:
    fcntl.lockf(lists, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(1)
"""


@pytest.mark.matrix
def test_apts_lists_are_updated_as_soon_as_nobody_else_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = [sys.executable, "-c", HOLDING_LISTS]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        process.update_lists()
    assert "another process updates apt's lists: waiting" in capsys.readouterr().err


@pytest.mark.parametrize(
    "card",
    [
        pytest.param(card, marks=() if card in ("p40", "mismatch") else pytest.mark.matrix)
        for card in cards.names()
    ],
)
def test_a_card_answers_as_recorded(lab: Lab, card: str) -> None:
    (host,) = lab.boot(HostSpec("carded", "trixie", card=card))
    data = cards.load(card)
    shown = host.run("cat /proc/driver/nvidia/version", check=False).stdout
    assert shown == data.get("proc_version", "")
    slots = {device["slot"] for device in data["pci"]}
    vendors = host.run("cd /sys/bus/pci/devices && grep -l 0x10de */vendor").stdout.split()
    assert {path.partition("/")[0] for path in vendors} == {
        device["slot"] for device in data["pci"] if device.get("vendor", "10de") == "10de"
    }
    assert slots
    smi = host.run("nvidia-smi", check=False)
    if not data.get("nvidia_smi", True):
        assert smi.status == 127
        return
    problem = data.get("failure") or data.get("warning") or {"status": 0, "text": ""}
    assert smi.status == problem["status"]
    assert smi.stdout == data.get("answers", {}).get("table", "") + problem["text"]


def test_a_query_answers_fields_in_any_order(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("queried", "trixie", card="rtx4090"))
    query = "nvidia-smi --query-gpu"
    plain = host.run(f"{query}=memory.total,index,compute_cap --format=csv,noheader,nounits")
    assert plain.stdout == "24564, 0, 8.9\n24564, 1, 8.9\n"
    headed = host.run(f"{query}=name,power.limit --format=csv -i 1")
    assert headed.stdout == "name, power.limit [W]\nNVIDIA GeForce RTX 4090, 450.00 W\n"
    unknown = host.run(f"{query}=name,cuda_version --format=csv", check=False)
    assert unknown.status == 2
    assert unknown.stdout.startswith('Field "cuda_version" is not a valid field to query.')


def test_persistence_can_be_switched_on(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("queried", "trixie", card="rtx4090"))
    query = "nvidia-smi --query-gpu=persistence_mode --format=csv,noheader"
    assert host.run(query).stdout == "Disabled\nDisabled\n"
    host.run("nvidia-smi -pm 1")
    assert host.run(query).stdout == "Enabled\nEnabled\n"
    host.run("nvidia-smi -pm 0")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(LabError, match="use one of"):
        cards.load("voodoo2")
    with pytest.raises(LabError, match="use one of bookworm, trixie"):
        images.check_release("sarge")
