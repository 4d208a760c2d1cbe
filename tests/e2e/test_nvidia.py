"""The NVIDIA driver on hosts with simulated cards: every state told apart, installed, kept."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.commands import Run, Verdicts, check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import Lab, Wanted
from tests.lab.packages.mirrors import GOOD

pytestmark = pytest.mark.lab

BRANCH = "nvidia.branch"
PERSISTENCE = "nvidia.persistence"
DRIVER = "nvidia.driver"
HOLD = "nvidia.hold"
INSTALLING = {"nvidia_driver": "install", "nvidia_source": "nvidia"}
VERSION = "580.105.08"
EXCLUSIONS = "/etc/apt/apt.conf.d/60gpuhost-nvidia"
UNIT = "gpuhost-nvidia-persistence"
STEPS = {
    "Archive components of the NVIDIA driver",
    "NVIDIA driver",
    "NVIDIA packages on hold",
    "NVIDIA driver loaded",
    "NVIDIA persistence mode",
}


def provision(host: LabHost, **settings: Any) -> Run:
    return deploy(host, deploy="tests/e2e/nvidia_alone.py", **settings)


def judged(verdicts: Verdicts) -> dict[str, str]:
    """What warns, fails or is unknown of NVIDIA's."""
    return {
        id: status
        for id, status in verdicts.status.items()
        if id.startswith("nvidia.") and status not in ("ok", "skip")
    }


@contextmanager
def booted_again(host: LabHost) -> Iterator[None]:
    """Starts the host's container when it stops: a reboot ends it."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            if not host._is_running():
                host.start()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(timeout=120)


# Tables of tests/checks have them all; on a host, in every run, one of each kind.
STATES_IN_EVERY_RUN = ("p40", "h200", "mismatch", "nouveau", None)
STATES: list[tuple[str | None, dict[str, str], str]] = [
    ("p40", {BRANCH: "warn", PERSISTENCE: "fail"}, "driver 535.183.01"),
    ("p40-470", {BRANCH: "warn", PERSISTENCE: "fail"}, "driver 470.256.02"),
    ("a100", {BRANCH: "warn", PERSISTENCE: "fail"}, "driver 525.125.06"),
    ("rtx4090", {PERSISTENCE: "fail"}, "driver 550.90.07"),
    ("h200", {PERSISTENCE: "fail", "nvidia.fabric_manager": "fail"}, "driver 580.95.05"),
    ("l40s-610", {BRANCH: "warn", PERSISTENCE: "fail"}, "driver 610.57.04"),
    ("inforom", {BRANCH: "warn", PERSISTENCE: "fail", DRIVER: "warn"}, "infoROM"),
    ("mismatch", {DRIVER: "fail"}, "library mismatch: module 535.183.01"),
    ("not-loaded", {DRIVER: "fail"}, "module not loaded"),
    ("no-devices", {DRIVER: "fail"}, "no devices: the open kernel modules do not drive"),
    ("off-the-bus", {DRIVER: "fail"}, "off the bus"),
    ("nouveau", {DRIVER: "fail"}, "absent.*nouveau"),
    ("undriven", {DRIVER: "fail"}, "absent: nvidia-smi is not installed"),
    (None, {}, "no NVIDIA card"),
]


@pytest.mark.parametrize(
    ("card", "expected", "says"),
    [
        pytest.param(*state, marks=() if state[0] in STATES_IN_EVERY_RUN else pytest.mark.matrix)
        for state in STATES
    ],
)
def test_every_state_of_a_card(
    lab: Lab, card: str | None, expected: dict[str, str], says: str
) -> None:
    (host,) = lab.boot(Wanted("card", "trixie", card=card))
    try:
        found = check(host)
    finally:
        lab.remove(host.name)
    assert judged(found) == expected
    assert re.search(says, found.findings[DRIVER]["actual"])


@pytest.fixture(scope="module")
def driven(hosts: Hosts) -> LabHost:
    """A new server whose driver was installed, with the reboot that this took."""
    (host,) = hosts(Wanted("driven", "trixie", card="undriven"))
    planned = provision(host, **INSTALLING, nvidia_reboot=True, dry=True).planned
    with booted_again(host):
        run = provision(host, **INSTALLING, nvidia_reboot=True)
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert set(run.changed) == set(planned) == STEPS
    return host


def test_installed_loaded_and_held(driven: LabHost) -> None:
    assert judged(check(driven, **INSTALLING)) == {}
    query = "nvidia-smi --query-gpu=driver_version,persistence_mode --format=csv,noheader"
    assert driven.ssh(query).stdout == f"{VERSION}, Enabled\n"
    held = driven.ssh("apt-mark showhold").stdout.split()
    assert {"nvidia-driver-cuda", "nvidia-kernel-dkms", "libcuda1"} <= set(held)
    assert not [name for name in held if "container" in name]
    assert driven.ssh(f"systemctl is-enabled {UNIT}").stdout == "enabled\n"
    assert "nouveau" in driven.ssh("cat /etc/modprobe.d/gpuhost-nouveau.conf").stdout


def test_a_second_run_changes_nothing(driven: LabHost) -> None:
    run = provision(driven, **INSTALLING, nvidia_reboot=True)
    assert (run.status, run.changed, run.failed) == (0, {}, {})


def test_apt_goes_on_beside_the_holds(driven: LabHost) -> None:
    """A newer branch is there, unpinned: upgrades succeed and leave the driver alone."""
    pin = "/etc/apt/preferences.d/nvidia-driver-pinning-580"
    driven.run(f"mv {pin} /root/")
    try:
        assert "590" in driven.run("apt-cache policy nvidia-driver-cuda | grep Candidate").stdout
        driven.run("DEBIAN_FRONTEND=noninteractive apt-get -y -q upgrade", timeout=300)
        driven.run("DEBIAN_FRONTEND=noninteractive apt-get -y -q dist-upgrade", timeout=300)
    finally:
        driven.run(f"mv /root/{pin.rpartition('/')[2]} {pin}")
    assert VERSION in driven.run("dpkg-query -W nvidia-driver-cuda").stdout
    dump = driven.run("apt-config dump Unattended-Upgrade::Package-Blacklist").stdout
    assert '"nvidia-"' in dump
    assert judged(check(driven, **INSTALLING)) == {}


TAMPERED: dict[str, tuple[str, str]] = {
    "a package let go": ("apt-mark unhold nvidia-driver-cuda", HOLD),
    "the exclusion removed": (f"rm {EXCLUSIONS}", HOLD),
    "persistence off": (
        "systemctl disable --now nvidia-persistenced && nvidia-smi -pm 0",
        PERSISTENCE,
    ),
    "persistence lost at boot": (
        f"systemctl disable --now nvidia-persistenced {UNIT} && nvidia-smi -pm 1",
        PERSISTENCE,
    ),
    "a kernel without a module": (
        "mkdir -p /lib/modules/6.1.0-99-amd64 && touch /boot/vmlinuz-6.1.0-99-amd64",
        "nvidia.next_boot",
    ),
}


def faults(host: LabHost) -> set[str]:
    """What fails, of every noun; but swap belongs to the machine that carries all its hosts."""
    return {id for id in check(host, **INSTALLING).failing if not id.startswith("swap.")}


# The rest is the matrix.
IN_EVERY_RUN = {"a package let go", "persistence lost at boot"}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=() if how in IN_EVERY_RUN else pytest.mark.matrix)
        for how in TAMPERED
    ],
)
def test_broken_by_hand_and_mended(driven: LabHost, how: str) -> None:
    command, id = TAMPERED[how]
    before = faults(driven)
    driven.run(command)
    try:
        assert faults(driven) - before == {id}
        run = provision(driven, **INSTALLING)
        assert (run.status, run.failed) == (0, {}), run.stderr
        if id == "nvidia.next_boot":
            # No DKMS here to build one: it is said, and stays a failure.
            assert "DKMS is not installed" in run.stderr
            return
        assert len(run.changed) == 1
        assert faults(driven) == before
    finally:
        driven.run("rm -rf /boot/vmlinuz-6.1.0-99-amd64 /lib/modules/6.1.0-99-amd64")


def test_taken_away_and_given_back(driven: LabHost) -> None:
    run = deploy(driven, deploy="tests/e2e/nvidia_removed.py")
    assert (run.status, set(run.changed)) == (
        0,
        {"NVIDIA packages no longer on hold", "NVIDIA persistence mode removed"},
    ), run.stderr
    assert driven.run("apt-mark showhold").stdout == ""
    assert driven.run(f"test -e {EXCLUSIONS}", check=False).status == 1
    assert driven.run(f"systemctl cat {UNIT}", check=False).status == 1
    assert VERSION in driven.run("nvidia-smi").stdout
    assert deploy(driven, deploy="tests/e2e/nvidia_removed.py").changed == {}
    again = provision(driven, **INSTALLING)
    assert set(again.changed) == {"NVIDIA packages on hold", "NVIDIA persistence mode"}
    assert judged(check(driven, **INSTALLING)) == {}


@pytest.fixture(scope="module")
def waiting(hosts: Hosts) -> LabHost:
    """A new server on which nothing was installed yet."""
    return hosts(Wanted("waiting", "bookworm", card="undriven"))[0]


def test_a_key_that_is_not_the_declared_one_is_refused(waiting: LabHost) -> None:
    run = provision(waiting, **INSTALLING, nvidia_key_fingerprint="A" * 40)
    assert run.status == 1
    assert set(run.failed) == {"NVIDIA driver"}
    assert f"not the declared {'A' * 40}" in run.stderr
    assert waiting.run("dpkg -l 'nvidia-*'", check=False).status == 1
    assert waiting.run("ls /etc/apt/sources.list.d/nvidia.sources", check=False).status != 0
    waiting.run("apt-get -q update", timeout=300)


def test_a_branch_that_does_not_drive_the_card_is_refused(waiting: LabHost) -> None:
    run = provision(waiting, **INSTALLING, nvidia_branch='"590"')
    assert (run.status, run.changed) == (0, {}), run.stderr
    assert "driver branch 590 was asked for" in run.stderr
    assert judged(check(waiting, **INSTALLING, nvidia_branch='"590"')) == {DRIVER: "fail"}


def test_it_never_reboots_unasked(waiting: LabHost) -> None:
    began = waiting.run("stat -c %Y /proc/1").stdout
    run = provision(waiting, **INSTALLING)
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert "a reboot is needed" in run.stderr
    assert waiting.run("stat -c %Y /proc/1").stdout == began
    found = check(waiting, **INSTALLING)
    # The archive may have been switched on by the run that a wrong key ended.
    archive = {"Archive components of the NVIDIA driver"}
    assert set(run.changed) | archive == STEPS - {"NVIDIA driver loaded"}
    assert judged(found) == {DRIVER: "fail"}
    assert found.findings[DRIVER]["fix"] == "reboot, or set nvidia_reboot=True"
    again = provision(waiting, **INSTALLING)
    assert (again.status, again.changed) == (0, {}), "an installed driver is not installed again"
    waiting.reboot()
    assert provision(waiting, **INSTALLING).changed == {}
    assert judged(check(waiting, **INSTALLING)) == {}


def test_a_mirror_takes_over_what_the_driver_needs_of_the_archive(
    lab: Lab, waiting: LabHost
) -> None:
    components = "/etc/apt/sources.list.d/gpuhost-nvidia-components.sources"
    provision(waiting, **INSTALLING)
    original = waiting.run(f"cat {components}").stdout
    assert original.count("Components: contrib") == 3, "release, updates, security"
    mirror = f"{lab.repository.base}/{GOOD}"
    run = provision(waiting, **INSTALLING, apt_mirror=mirror)
    assert (run.status, set(run.changed)) == (0, {"Package sources"}), run.stderr
    assert mirror in waiting.run(f"cat {components}").stdout
    assert provision(waiting, **INSTALLING, apt_mirror=mirror).changed == {}
    assert set(provision(waiting, **INSTALLING).changed) == {"Package sources"}
    assert waiting.run(f"cat {components}").stdout == original


def test_fabric_manager_of_the_drivers_own_version(hosts: Hosts) -> None:
    (host,) = hosts(Wanted("switched", "bookworm", card="undriven-h200"))
    with booted_again(host):
        run = provision(host, **INSTALLING, nvidia_reboot=True, cuda='"13.0"', gpu_count=8)
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert host.run("systemctl is-active nvidia-fabricmanager").stdout == "active\n"
    assert VERSION in host.run("dpkg-query -W nvidia-fabricmanager").stdout
    declared = {**INSTALLING, "cuda": '"13.0"', "gpu_count": 8}
    assert judged(check(host, **declared)) == {}
    assert provision(host, **declared).changed == {}
    host.run(
        "apt-get -y -q install --allow-change-held-packages --allow-downgrades "
        "nvidia-fabricmanager=580.95.05-1 && apt-mark hold nvidia-fabricmanager; "
        "systemctl restart nvidia-fabricmanager || true"
    )
    assert judged(check(host, **declared)) == {"nvidia.fabric_manager": "fail"}
    assert set(provision(host, **declared).changed) >= {"NVIDIA Fabric Manager"}
    assert judged(check(host, **declared)) == {}
