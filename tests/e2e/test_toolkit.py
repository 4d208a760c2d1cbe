"""The container toolkit on real hosts: a GPU in a container, changes by hand, repair, removal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.commands import check, deploy
from tests.e2e.toolkit_host import ENGINE, OK, PROOF, RECORD, STEP, findings, image, provision
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec, Lab

pytestmark = pytest.mark.lab

KEY = "/etc/apt/keyrings/nvidia-container-toolkit.asc"
SOURCES = "/etc/apt/sources.list.d/nvidia-container-toolkit.sources"
CLASHING = "/etc/apt/sources.list.d/libnvidia-container.list"
HOOK = "/usr/bin/nvidia-container-runtime-hook"
PACKAGES = (
    "libnvidia-container-tools libnvidia-container1 nvidia-container-toolkit "
    "nvidia-container-toolkit-base"
)
COMPOSE = """
services:
  gpu:
    image: IMAGE
    network_mode: none
    entrypoint: ["nvidia-smi", "-L"]
    deploy:
      resources:
        reservations:
          devices: [{driver: nvidia, count: all, capabilities: [gpu]}]
"""


@pytest.fixture(scope="module")
def provisioned(hosts: Hosts) -> dict[str, LabHost]:
    """A host of each release with a P40, provisioned to run containers with a GPU."""
    booted = hosts(*(HostSpec(f"toolkit-{release}", release, card="p40") for release in RELEASES))
    run = provision(*booted)
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert {STEP, ENGINE, PROOF} <= set(run.changed)
    return {host.state.release: host for host in booted}


@pytest.fixture(params=RELEASES)
def each(request: pytest.FixtureRequest, provisioned: dict[str, LabHost]) -> LabHost:
    return provisioned[request.param]


@pytest.fixture
def trixie(provisioned: dict[str, LabHost]) -> LabHost:
    return provisioned["trixie"]


@pytest.mark.every_release
def test_a_blank_host_without_a_registry_runs_a_gpu_container(each: LabHost) -> None:
    assert findings(each) == OK
    record = json.loads(each.run(f"cat {RECORD}").stdout)
    assert (record["gpus"], record["failure"], record["driver"]) == (1, "", "535.183.01")
    on_host, inside = (json.loads(record[f"cuda_{where}"]) for where in ("host", "container"))
    for answer in (on_host, inside):
        assert (answer["count"], answer["names"], answer["version"]) == (1, ["Tesla P40"], 12020)
        assert answer["library"].startswith("/usr/lib/"), "each asks its own library"
    assert (on_host["given"], inside["given"]) == (None, "all")
    assert each.run("ls /var/lib/gpuhost").stdout.count("gpu-test") == 0
    assert "nvidia" in json.loads(each.run("docker info -f '{{json .Runtimes}}'").stdout)
    assert each.run("apt-mark showhold | sort | xargs").stdout.strip() == PACKAGES


def test_a_second_run_changes_nothing(provisioned: dict[str, LabHost]) -> None:
    run = provision(*provisioned.values())
    assert (run.status, run.changed, run.failed) == (0, {}, {})


def test_the_image_built_on_the_host_is_small_and_has_a_working_c_library(each: LabHost) -> None:
    name = image(each)
    size = int(each.run(f"docker image inspect -f '{{{{.Size}}}}' {name}").stdout)
    assert 1_000_000 < size < 10_000_000
    program = "-v /usr/bin/true:/usr/bin/true:ro --entrypoint /usr/bin/true"
    linked = each.run("ldd /usr/bin/true").stdout
    assert "libc.so.6" in linked, "the program has to need the C library"
    each.run(f"docker run --rm --network none {program} {name}")


def test_docker_run_and_a_compose_reservation_get_the_gpu(each: LabHost) -> None:
    name = image(each)
    seen = each.run(f"docker run --rm --network none --gpus all --entrypoint nvidia-smi {name} -L")
    assert seen.stdout.count("GPU 0: Tesla P40") == 1
    each.put("/srv/gpu/compose.yaml", COMPOSE.replace("IMAGE", name).encode())
    up = each.run("docker compose -f /srv/gpu/compose.yaml up --no-color 2>&1")
    try:
        assert up.stdout.count("GPU 0: Tesla P40") == 1
    finally:
        each.run("docker compose -f /srv/gpu/compose.yaml down")


TAMPERS = {
    "unheld": ("apt-mark unhold libnvidia-container1", "toolkit.held"),
    "key": (f"cp /etc/apt/keyrings/docker.asc {KEY}", "toolkit.repository"),
    "sources": (f"sed -i s/Suites/Suits/ {SOURCES}", "toolkit.repository"),
    "runtime": ("rm /usr/bin/nvidia-container-runtime", "toolkit.runtime"),
    "cdi": ("rm /var/run/cdi/nvidia.yaml", "toolkit.cdi"),
    "refresh": ("systemctl disable --now nvidia-cdi-refresh.path", "toolkit.cdi"),
    "record": (f"rm {RECORD}", "toolkit.proof"),
    "config": (
        "mkdir -p /etc/nvidia-container-runtime && "
        "echo 'nvidia-container-cli.ldcache = \"/etc/ld.so.cache\"' "
        ">>/etc/nvidia-container-runtime/config.toml",
        "toolkit.proof",
    ),
    "driver": (f"sed -i s/535.183.01/525.125.06/ {RECORD}", "toolkit.proof"),
    "image": (
        "docker image rm -f $(docker image ls -q gpuhost/gpu-test) && rm " + RECORD,
        "toolkit.proof",
    ),
}
# apt refuses every source because of it.
ALSO_FAILS = {"sources": {"apt.readable"}}
# `make test` runs these; the rest is the matrix.
IN_EVERY_RUN = {"key", "runtime", "driver"}


@pytest.mark.parametrize(
    ("id", "tamper", "fails"),
    [
        pytest.param(id, *case, id=id, marks=() if id in IN_EVERY_RUN else pytest.mark.matrix)
        for id, case in TAMPERS.items()
    ],
)
def test_a_change_by_hand_is_found_and_repaired(
    trixie: LabHost, id: str, tamper: str, fails: str
) -> None:
    before = check(trixie)
    trixie.run(tamper)
    after = check(trixie)
    assert after.failing - before.failing == {fails} | ALSO_FAILS.get(id, set())
    assert after.findings[fails]["fix"]
    assert provision(trixie).status == 0
    assert findings(trixie) == OK
    assert check(trixie).failing == before.failing


def test_a_sources_list_of_older_instructions_is_moved_aside(trixie: LabHost, lab: Lab) -> None:
    before = check(trixie)
    uri = f"{lab.repository.base}/libnvidia-container/stable/deb/$(ARCH)"
    line = f"deb [signed-by=/usr/share/keyrings/nvidia.gpg] {uri} /\n"
    trixie.put(CLASHING, line.encode())
    update = trixie.run("apt-get update 2>&1", check=False)
    assert "Conflicting values set for option Signed-By" in update.stdout, "the clash is a real one"
    after = check(trixie)
    assert after.failing - before.failing == {"apt.readable", "toolkit.repository"}
    assert after.findings["toolkit.repository"]["actual"] == f"also defined in {CLASHING}:1"
    assert provision(trixie).status == 0
    assert findings(trixie) == OK
    trixie.run("apt-get update")
    kept = trixie.run("cat /var/lib/gpuhost/apt/clashing/libnvidia-container.list").stdout
    assert kept == line


def test_a_runtime_missing_in_daemon_json_is_one_finding_and_is_restored(
    trixie: LabHost,
) -> None:
    trixie.run("sed -i s/nvidia-container-runtime/other-runtime/ /etc/docker/daemon.json")
    verdicts = check(trixie)
    assert verdicts.status["docker.config"] == "fail"
    assert not {id for id in verdicts.failing if id.startswith("toolkit.")}
    run = provision(trixie, adopt=True)
    assert (run.status, set(run.changed)) == (0, {ENGINE})
    assert findings(trixie) == OK
    assert check(trixie).status["docker.config"] == "ok"


def test_packages_removed_by_hand_are_installed_and_the_engine_knows_the_runtime(
    trixie: LabHost,
) -> None:
    trixie.run(f"apt-get purge -y -q --allow-change-held-packages {PACKAGES}")
    trixie.run("systemctl restart docker")
    refused = trixie.run(
        f"docker run --rm --network none --gpus all {image(trixie)} nvidia-smi 2>&1", check=False
    )
    assert 'could not select device driver "" with capabilities: [[gpu]]' in refused.stdout
    assert findings(trixie)["toolkit.packages"] == "fail"
    run = provision(trixie)
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert set(run.changed) == {STEP, PROOF}
    assert findings(trixie) == OK
    seen = trixie.run(
        f"docker run --rm --network none --gpus all --entrypoint nvidia-smi {image(trixie)} -L"
    )
    assert "Tesla P40" in seen.stdout


def test_a_failed_gpu_test_records_its_output_and_a_fix(trixie: LabHost) -> None:
    trixie.run(f"mv {HOOK} {HOOK}.away && systemctl restart docker && rm {RECORD}")
    try:
        run = provision(trixie)
        assert PROOF not in run.changed
        finding = check(trixie).findings["toolkit.proof"]
        assert finding["status"] == "fail"
        assert 'driver "" with capabilities: [[gpu]]' in finding["evidence"]
        assert "systemctl restart docker" in finding["fix"]
    finally:
        trixie.run(f"mv {HOOK}.away {HOOK}")
    trixie.run("systemctl restart docker")
    assert provision(trixie).changed == {PROOF: [trixie.name]}
    assert findings(trixie) == OK


def test_an_image_that_requires_a_newer_driver_is_reported(trixie: LabHost) -> None:
    gate = "-c 'ENV NVIDIA_REQUIRE_CUDA=cuda>=13.0'"
    trixie.run(
        f"docker create --name gate {image(trixie)} x && docker export gate "
        f"| docker import {gate} - gate:13 && docker rm gate"
    )
    provision(trixie, toolkit_test_image="gate:13")
    finding = check(trixie, toolkit_test_image="gate:13").findings["toolkit.proof"]
    assert finding["status"] == "fail"
    assert "unsatisfied condition: cuda>=13.0" in finding["evidence"]
    assert "toolkit_test_image" in finding["fix"]
    missing = "127.0.0.1:9/nothing:1"
    provision(trixie, toolkit_test_image=missing)
    finding = check(trixie, toolkit_test_image=missing).findings["toolkit.proof"]
    assert "cannot be pulled on this host" in finding["actual"]
    assert provision(trixie).status == 0
    assert findings(trixie) == OK


@pytest.mark.matrix
def test_another_version_is_installed_completely_and_mixed_versions_become_one(
    trixie: LabHost,
) -> None:
    old = {"toolkit_version": "1.17.8"}
    assert findings(trixie, **old)["toolkit.packages"] == "fail"
    assert provision(trixie, **old).status == 0
    assert findings(trixie, **old) == OK
    assert "/etc/cdi/nvidia.yaml" in check(trixie, **old).findings["toolkit.cdi"]["actual"]
    assert provision(trixie).changed == {}, "what is there and whole is not upgraded unasked"
    trixie.run("apt-get install -y -q --allow-change-held-packages libnvidia-container1=1.20.0-1")
    mixed = check(trixie, **old)
    assert mixed.status["toolkit.packages"] == "fail"
    assert "libnvidia-container1 1.20.0-1" in mixed.findings["toolkit.packages"]["actual"]
    assert {id for id in mixed.failing if id.startswith("toolkit.")} == {"toolkit.packages"}
    assert provision(trixie, **old).status == 0, "down again"
    assert findings(trixie, **old) == OK
    assert provision(trixie, toolkit_version="1.20.0").status == 0
    assert findings(trixie) == OK


def test_removal_and_second_installation(trixie: LabHost) -> None:
    run = deploy(trixie, deploy="deploys/remove.py", remove="toolkit")
    assert run.status == 0, run.stderr
    left = trixie.run(
        f"ls {SOURCES} {KEY} {RECORD} /var/run/cdi/nvidia.yaml; apt-mark showhold; "
        f"dpkg-query -W -f '${{db:Status-Abbrev}}\\n' {PACKAGES}; "
        "docker image ls -q gpuhost/gpu-test",
        check=False,
    )
    assert set(left.stdout.split()) <= {"rc", "un"}
    assert deploy(trixie, deploy="deploys/remove.py", remove="toolkit").changed == {}
    assert provision(trixie).status == 0
    assert findings(trixie) == OK


def test_a_key_with_another_fingerprint_is_refused_and_nothing_is_installed(
    hosts: Hosts, lab: Lab, tmp_path: Path
) -> None:
    (host,) = hosts(HostSpec("toolkit-keys", "trixie", card="p40"))
    alone = "tests/e2e/toolkit_packages_alone.py"
    theirs = host.run(f"cat {SOURCES} {KEY}; dpkg -l | grep -c nvidia", check=False).stdout
    assert theirs == "0\n", "the host is blank"
    wrong = deploy(host, deploy=alone, toolkit_key_fingerprint="A" * 40)
    assert (wrong.status, set(wrong.failed)) == (1, {STEP})
    declared = lab.repository.toolkit_key_fingerprint
    assert f"the key's fingerprint is {declared}, not the declared {'A' * 40}" in wrong.stderr
    assert host.run(f"cat {SOURCES} {KEY}; dpkg -l | grep -c nvidia", check=False).stdout == "0\n"

    base = lab.repository.base
    key = tmp_path / "toolkit.key"
    key.write_text(host.run(f"curl -fsS --noproxy '*' {base}/docker-ce/linux/debian/gpg").stdout)
    wrong = deploy(host, deploy=alone, toolkit_key_file=str(key))
    assert (wrong.status, set(wrong.failed)) == (1, {STEP})
    assert "nothing from this repository was installed" in wrong.stderr

    key.write_text(host.run(f"curl -fsS --noproxy '*' {base}/libnvidia-container/gpgkey").stdout)
    host.run("chmod -x /usr/lib/apt/apt-helper")
    run = deploy(host, deploy=alone, toolkit_key_file=str(key))
    assert run.status == 0, run.stderr
    host.run("chmod +x /usr/lib/apt/apt-helper")
    statuses = findings(host)
    assert {
        id: statuses[id] for id in ("toolkit.repository", "toolkit.packages", "toolkit.held")
    } == {
        "toolkit.repository": "ok",
        "toolkit.packages": "ok",
        "toolkit.held": "ok",
    }


def test_a_broken_driver_is_one_finding_and_the_toolkit_is_installed(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("toolkit-undriven", "bookworm", card="not-loaded"))
    run = provision(host, ssh_user="ops")
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert PROOF not in run.changed
    verdicts = check(host)
    assert verdicts.status["nvidia.driver"] == "fail"
    assert findings(host) == OK | {"toolkit.cdi": "skip", "toolkit.proof": "skip"}


def test_without_a_card_everything_is_skipped_with_the_reason(debians: list[LabHost]) -> None:
    for host in debians:
        verdicts = check(host)
        by_id = {id: f for id, f in verdicts.findings.items() if id.startswith("toolkit.")}
        assert {id: f["status"] for id, f in by_id.items()} == dict.fromkeys(OK, "skip")
        assert {f["actual"] for f in by_id.values()} == {"no NVIDIA card on the PCI bus"}
