"""CUDA does not start, or a container loses its card, although nvidia-smi answers on the host."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from tests.e2e.commands import check
from tests.e2e.toolkit_host import OK, PROOF, RECORD, findings, image, provision
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec

pytestmark = pytest.mark.lab

CONFIG = "/etc/nvidia-container-runtime/config.toml"


@pytest.fixture(scope="module")
def trixie(hosts: Hosts) -> LabHost:
    """A host with a P40, provisioned to run containers with a GPU."""
    (host,) = hosts(HostSpec("toolkit-cuda", "trixie", card="p40"))
    run = provision(host)
    assert (run.status, run.failed) == (0, {}), run.stderr
    return host


# nvidia-smi answers all the while. SMI: what the stand-in libcuda is told.
SMI, DIRECTORY = "/lab/card/smi", "$(echo /usr/lib/*-linux-gnu)"
LIBRARY = f"{DIRECTORY}/libcuda.so.1"
BROKEN_CUDA = {
    "no uvm": (f"echo 999 >{SMI}/cu_init", f"rm {SMI}/cu_init", "nvidia_uvm is not loaded"),
    "no device": (
        f"echo 100 >{SMI}/cu_init",
        f"rm {SMI}/cu_init",
        "/dev/nvidiactl cannot be opened",
    ),
    "missing": (f"mv {LIBRARY} /root/", f"mv /root/libcuda.so.1 {DIRECTORY}", "is not installed"),
    "cut off": (
        f"cp {LIBRARY} /root/ && truncate -s 5000 {LIBRARY}",
        f"cp /root/libcuda.so.1 {DIRECTORY}",
        "crashed: its file is damaged",
    ),
    "a text": (
        f"cp {LIBRARY} /root/ && echo x >{LIBRARY}",
        f"cp /root/libcuda.so.1 {DIRECTORY}",
        "cannot be loaded",
    ),
}


@pytest.mark.parametrize(
    ("breaks", "repairs", "cause"),
    [
        pytest.param(*case, id=id, marks=() if id == "no uvm" else pytest.mark.matrix)
        for id, case in BROKEN_CUDA.items()
    ],
)
def test_cuda_that_does_not_start_is_found_although_nvidia_smi_works(
    trixie: LabHost, breaks: str, repairs: str, cause: str
) -> None:
    trixie.run(f"{breaks} && rm {RECORD}")
    try:
        provision(trixie)
        assert "Tesla P40" in trixie.run("nvidia-smi -L").stdout
        assert json.loads(trixie.run(f"cat {RECORD}").stdout)["gpus"] == 1
        finding = check(trixie).findings["toolkit.proof"]
    finally:
        trixie.run(repairs)
    assert (finding["status"], finding["expected"]) == ("fail", "CUDA starts on the host")
    assert cause in finding["actual"]
    assert "reboot" not in finding["fix"]
    assert provision(trixie).changed == {PROOF: [trixie.name]}
    assert findings(trixie) == OK


@pytest.mark.matrix
def test_a_container_without_the_library_is_told_apart_from_the_host(trixie: LabHost) -> None:
    """The image asks for nvidia-smi only, as some do."""
    only = "-c 'ENV NVIDIA_DRIVER_CAPABILITIES=utility'"
    trixie.run(
        f"docker create --name only {image(trixie)} x && docker export only "
        f"| docker import {only} - only:1 && docker rm only"
    )
    provision(trixie, toolkit_test_image="only:1")
    finding = check(trixie, toolkit_test_image="only:1").findings["toolkit.proof"]
    assert (finding["status"], finding["expected"]) == ("fail", "CUDA starts in a container")
    assert "did not put libcuda.so.1 into the container" in finding["actual"]
    assert "NVIDIA_DRIVER_CAPABILITIES" in finding["fix"]
    assert provision(trixie).status == 0
    assert findings(trixie) == OK


@pytest.mark.matrix
def test_no_cgroups_is_named_from_the_toolkits_own_file(trixie: LabHost) -> None:
    trixie.run(
        f"cp {CONFIG} /root/ && printf '[nvidia-container-cli]\nno-cgroups=true\n' >>{CONFIG}"
    )
    try:
        finding = check(trixie).findings["toolkit.config"]
    finally:
        trixie.run(f"cp /root/config.toml {CONFIG}")
    assert finding["status"] == "fail"
    assert "no-cgroups = true" in finding["actual"]
    assert findings(trixie) == OK


CARDS_INSIDE = files("gpuhost.runner.contract").joinpath("cards_inside.py").read_bytes()
PID = "$(docker inspect -f '{{.State.Pid}}' node)"


@pytest.mark.matrix
def test_a_device_that_the_cgroup_takes_away_is_seen_without_nvidia_smi(trixie: LabHost) -> None:
    """With the kernel's own rules for devices; /dev/null is the device behind the node."""
    trixie.put("/root/cards_inside.py", CARDS_INSIDE)
    ask = (
        "cd /root && python3 -c 'import sys, cards_inside; "
        f'print(*cards_inside.ask_for_cards("node", int(sys.argv[1]), "reserved"))\' {PID}'
    )
    trixie.run(
        "docker run -d --name node --network none --device /dev/null:/dev/nvidiactl "
        f"-v /usr/bin/sleep:/usr/bin/sleep:ro --entrypoint /usr/bin/sleep {image(trixie)} 1000"
    )
    try:
        assert trixie.run(ask).stdout.strip() == "has"
        rules = f"/sys/fs/cgroup/devices$(sed -n 's/^[0-9]*:devices://p' /proc/{PID}/cgroup)"
        trixie.run(f"echo 'c 1:3 rwm' >{rules}/devices.deny")
        assert trixie.run(ask).stdout == "lost /dev/nvidiactl: Operation not permitted\n"
    finally:
        trixie.run("docker rm -f node")
