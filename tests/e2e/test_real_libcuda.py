"""NVIDIA's own libcuda, from Debian's non-free archive, on a host whose card is simulated.

The simulated nvidia-smi answers. The real library finds no card: it loads, tells its version, and
cuInit returns 100. A broken file of it must be told apart from that.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.commands import check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

RECORD = "/var/lib/gpuhost/toolkit.json"
# Lines of both formats of apt's sources.
WITH_NON_FREE = (
    r"find /etc/apt -name '*.list' -o -name '*.sources' | xargs sed -i -E "
    r"'/^(deb|Components)/s/ main( .*)?$/ main contrib non-free/'"
)
# Alternatives replace no file by their link, so the simulated library has to go first.
INSTALL = (
    "rm /usr/lib/*-linux-gnu/libcuda.so.1 && apt-get update -q && DEBIAN_FRONTEND=noninteractive "
    "apt-get install -y -q --no-install-recommends libcuda1"
)
FILE = "$(realpath /usr/lib/*-linux-gnu/libcuda.so.1)"


@pytest.fixture(scope="module", params=RELEASES)
def host(hosts: Hosts, request: pytest.FixtureRequest) -> LabHost:
    (booted,) = hosts(HostSpec(f"libcuda-{request.param}", request.param, card="p40"))
    booted.run(WITH_NON_FREE)
    booted.run(INSTALL, timeout=600)
    return booted


def proven(host: LabHost) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The finding, and what CUDA answered on the host and in a container."""
    host.run(f"rm -f {RECORD}")
    deploy(host, deploy="tests/e2e/toolkit_alone.py")
    record = json.loads(host.run(f"cat {RECORD}").stdout)
    assert (record["gpus"], record["failure"]) == (1, ""), "nvidia-smi answers in a container"
    answers = [json.loads(record[f"cuda_{where}"]) for where in ("host", "container")]
    return (check(host).findings["toolkit.proof"], answers[0], answers[1])


def test_the_real_library_answers_no_device_on_the_host_and_in_a_container(host: LabHost) -> None:
    finding, on_host, inside = proven(host)
    for answer in (on_host, inside):
        assert (answer["call"], answer["result"]) == ("cuInit", 100)
        assert answer["version"] >= 11040
    assert on_host["library"].endswith(host.run(f"basename {FILE}").stdout.strip())
    assert finding["status"] == "fail"
    assert "cuInit = 100 (no device)" in finding["evidence"]
    assert "reboot" not in finding["fix"]


def test_a_damaged_library_is_told_apart_from_one_without_a_device(host: LabHost) -> None:
    host.run(f"cp {FILE} /root/libcuda && truncate -s 100000 {FILE}")
    try:
        host.run(f"rm -f {RECORD}")
        deploy(host, deploy="tests/e2e/toolkit_alone.py")
        finding = check(host).findings["toolkit.proof"]
    finally:
        host.run(f"cp /root/libcuda {FILE}")
    assert finding["expected"] == "CUDA starts on the host"
    assert "damaged" in finding["actual"]
    assert "no device" not in finding["evidence"]
    host.run("mv /usr/lib/*-linux-gnu/libcuda.so.1 /root/link")
    try:
        host.run(f"rm -f {RECORD}")
        deploy(host, deploy="tests/e2e/toolkit_alone.py")
        finding = check(host).findings["toolkit.proof"]
    finally:
        host.run("mv /root/link /usr/lib/$(uname -m)-linux-gnu/libcuda.so.1")
    assert "libcuda.so.1 is not installed" in finding["actual"]
