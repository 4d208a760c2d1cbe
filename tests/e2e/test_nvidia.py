"""The NVIDIA driver on hosts with simulated cards: its states, installation, holds and removal."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import Run, Verdicts, check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec, Lab
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


def problems(verdicts: Verdicts) -> dict[str, str]:
    """The checks of NVIDIA that are neither ok nor skipped, with their status."""
    return {
        id: status
        for id, status in verdicts.status.items()
        if id.startswith("nvidia.") and status not in ("ok", "skip")
    }


@contextmanager
def restart_when_stopped(host: LabHost) -> Iterator[None]:
    """Start the host's container again when it stops: a reboot stops it."""
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


# tests/checks has all states; `make test` runs one of each kind on a host.
STATES_IN_EVERY_RUN = ("p40", "h200", "mismatch", "nouveau", None)
STATES: list[tuple[str | None, dict[str, str], str]] = [
    ("p40", {BRANCH: "warn", PERSISTENCE: "fail"}, "driver 535.183.01"),
    ("p40-470", {BRANCH: "warn", PERSISTENCE: "fail"}, "driver 470.256.02"),
    ("a100", {BRANCH: "warn", PERSISTENCE: "fail"}, "driver 525.125.06"),
    ("rtx4090", {BRANCH: "warn", PERSISTENCE: "fail"}, "driver 550.90.07"),
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
    (host,) = lab.boot(HostSpec("card", "trixie", card=card))
    try:
        verdicts = check(host)
    finally:
        lab.remove(host.name)
    assert problems(verdicts) == expected
    assert re.search(says, verdicts.findings[DRIVER]["actual"])


@pytest.fixture(scope="module")
def with_driver(hosts: Hosts) -> LabHost:
    """A new server whose driver was installed, with its reboot."""
    (host,) = hosts(HostSpec("driven", "trixie", card="undriven"))
    planned = provision(host, **INSTALLING, nvidia_reboot=True, dry=True).planned
    with restart_when_stopped(host):
        run = provision(host, **INSTALLING, nvidia_reboot=True)
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert set(run.changed) == set(planned) == STEPS
    return host


def test_driver_is_installed_loaded_and_held(with_driver: LabHost) -> None:
    assert problems(check(with_driver, **INSTALLING)) == {}
    query = "nvidia-smi --query-gpu=driver_version,persistence_mode --format=csv,noheader"
    assert with_driver.ssh(query).stdout == f"{VERSION}, Enabled\n"
    held = with_driver.ssh("apt-mark showhold").stdout.split()
    assert {"nvidia-driver-cuda", "nvidia-kernel-dkms", "libcuda1"} <= set(held)
    assert not [name for name in held if "container" in name]
    assert with_driver.ssh(f"systemctl is-enabled {UNIT}").stdout == "enabled\n"
    assert "nouveau" in with_driver.ssh("cat /etc/modprobe.d/gpuhost-nouveau.conf").stdout


def test_a_second_run_changes_nothing(with_driver: LabHost) -> None:
    run = provision(with_driver, **INSTALLING, nvidia_reboot=True)
    assert (run.status, run.changed, run.failed) == (0, {}, {})


def test_apt_upgrades_work_with_the_holds(with_driver: LabHost) -> None:
    """With a newer branch available and no pin, upgrades succeed and keep the driver."""
    pin = "/etc/apt/preferences.d/nvidia-driver-pinning-580"
    with_driver.run(f"mv {pin} /root/")
    try:
        assert (
            "590" in with_driver.run("apt-cache policy nvidia-driver-cuda | grep Candidate").stdout
        )
        with_driver.run("DEBIAN_FRONTEND=noninteractive apt-get -y -q upgrade", timeout=300)
        with_driver.run("DEBIAN_FRONTEND=noninteractive apt-get -y -q dist-upgrade", timeout=300)
    finally:
        with_driver.run(f"mv /root/{pin.rpartition('/')[2]} {pin}")
    assert VERSION in with_driver.run("dpkg-query -W nvidia-driver-cuda").stdout
    dump = with_driver.run("apt-config dump Unattended-Upgrade::Package-Blacklist").stdout
    assert '"nvidia-"' in dump
    assert problems(check(with_driver, **INSTALLING)) == {}


TAMPERS: dict[str, tuple[str, str]] = {
    "a package unheld": ("apt-mark unhold nvidia-driver-cuda", HOLD),
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


def failing(host: LabHost) -> set[str]:
    """The failing checks of all nouns, except swap: it is shared by all lab hosts."""
    return {id for id in check(host, **INSTALLING).failing if not id.startswith("swap.")}


# `make test` runs these; the rest is the matrix.
IN_EVERY_RUN = {"a package unheld", "persistence lost at boot"}


@pytest.mark.parametrize(
    "how",
    [pytest.param(how, marks=() if how in IN_EVERY_RUN else pytest.mark.matrix) for how in TAMPERS],
)
def test_a_change_by_hand_is_found_and_repaired(with_driver: LabHost, how: str) -> None:
    command, id = TAMPERS[how]
    before = failing(with_driver)
    with_driver.run(command)
    try:
        assert failing(with_driver) - before == {id}
        run = provision(with_driver, **INSTALLING)
        assert (run.status, run.failed) == (0, {}), run.stderr
        if id == "nvidia.next_boot":
            # Without DKMS no module can be built: this is reported, and the check still fails.
            assert "DKMS is not installed" in run.stderr
            return
        assert len(run.changed) == 1
        assert failing(with_driver) == before
    finally:
        with_driver.run("rm -rf /boot/vmlinuz-6.1.0-99-amd64 /lib/modules/6.1.0-99-amd64")


def test_removal_and_second_installation(with_driver: LabHost) -> None:
    run = deploy(with_driver, deploy="tests/e2e/nvidia_removed.py")
    assert (run.status, set(run.changed)) == (
        0,
        {"NVIDIA packages no longer on hold", "NVIDIA persistence mode removed"},
    ), run.stderr
    assert with_driver.run("apt-mark showhold").stdout == ""
    assert with_driver.run(f"test -e {EXCLUSIONS}", check=False).status == 1
    assert with_driver.run(f"systemctl cat {UNIT}", check=False).status == 1
    assert VERSION in with_driver.run("nvidia-smi").stdout
    assert deploy(with_driver, deploy="tests/e2e/nvidia_removed.py").changed == {}
    again = provision(with_driver, **INSTALLING)
    assert set(again.changed) == {"NVIDIA packages on hold", "NVIDIA persistence mode"}
    assert problems(check(with_driver, **INSTALLING)) == {}


@pytest.fixture(scope="module")
def without_driver(hosts: Hosts) -> LabHost:
    """A new server without a driver."""
    return hosts(HostSpec("waiting", "bookworm", card="undriven"))[0]


def test_an_undeclared_key_is_refused(without_driver: LabHost) -> None:
    run = provision(without_driver, **INSTALLING, nvidia_key_fingerprint="A" * 40)
    assert run.status == 1
    assert set(run.failed) == {"NVIDIA driver"}
    assert f"not the declared {'A' * 40}" in run.stderr
    assert without_driver.run("dpkg -l 'nvidia-*'", check=False).status == 1
    assert without_driver.run("ls /etc/apt/sources.list.d/nvidia.sources", check=False).status != 0
    without_driver.run("apt-get -q update", timeout=300)


def test_a_branch_without_support_for_the_card_is_refused(without_driver: LabHost) -> None:
    run = provision(without_driver, **INSTALLING, nvidia_branch='"590"')
    assert (run.status, run.changed) == (0, {}), run.stderr
    assert "driver branch 590 is declared, but" in run.stderr
    assert problems(check(without_driver, **INSTALLING, nvidia_branch='"590"')) == {DRIVER: "fail"}


def test_it_never_reboots_without_permission(without_driver: LabHost) -> None:
    began = without_driver.run("stat -c %Y /proc/1").stdout
    run = provision(without_driver, **INSTALLING)
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert "a reboot is needed" in run.stderr
    assert without_driver.run("stat -c %Y /proc/1").stdout == began
    verdicts = check(without_driver, **INSTALLING)
    # The run that failed with a wrong key may have enabled the archive.
    archive = {"Archive components of the NVIDIA driver"}
    assert set(run.changed) | archive == STEPS - {"NVIDIA driver loaded"}
    assert problems(verdicts) == {DRIVER: "fail"}
    assert verdicts.findings[DRIVER]["fix"] == "reboot, or set nvidia_reboot=True"
    again = provision(without_driver, **INSTALLING)
    assert (again.status, again.changed) == (0, {}), "an installed driver is not installed again"
    without_driver.reboot()
    assert provision(without_driver, **INSTALLING).changed == {}
    assert problems(check(without_driver, **INSTALLING)) == {}


def test_the_archive_components_of_the_driver_follow_the_mirror(
    lab: Lab, without_driver: LabHost
) -> None:
    components = "/etc/apt/sources.list.d/gpuhost-nvidia-components.sources"
    provision(without_driver, **INSTALLING)
    original = without_driver.run(f"cat {components}").stdout
    assert original.count("Components: contrib") == 3, "release, updates, security"
    mirror = f"{lab.repository.base}/{GOOD}"
    run = provision(without_driver, **INSTALLING, apt_mirror=mirror)
    assert (run.status, set(run.changed)) == (0, {"Package sources"}), run.stderr
    assert mirror in without_driver.run(f"cat {components}").stdout
    assert provision(without_driver, **INSTALLING, apt_mirror=mirror).changed == {}
    assert set(provision(without_driver, **INSTALLING).changed) == {"Package sources"}
    assert without_driver.run(f"cat {components}").stdout == original


def test_fabric_manager_has_the_version_of_the_driver(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("switched", "bookworm", card="undriven-h200"))
    with restart_when_stopped(host):
        run = provision(host, **INSTALLING, nvidia_reboot=True, cuda='"13.0"', gpu_count=8)
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert host.run("systemctl is-active nvidia-fabricmanager").stdout == "active\n"
    assert VERSION in host.run("dpkg-query -W nvidia-fabricmanager").stdout
    declared = {**INSTALLING, "cuda": '"13.0"', "gpu_count": 8}
    assert problems(check(host, **declared)) == {}
    assert provision(host, **declared).changed == {}
    host.run(
        "apt-get -y -q install --allow-change-held-packages --allow-downgrades "
        "nvidia-fabricmanager=580.95.05-1 && apt-mark hold nvidia-fabricmanager; "
        "systemctl restart nvidia-fabricmanager || true"
    )
    assert problems(check(host, **declared)) == {"nvidia.fabric_manager": "fail"}
    assert set(provision(host, **declared).changed) >= {"NVIDIA Fabric Manager"}
    assert problems(check(host, **declared)) == {}


def devices(host: LabHost) -> list[str]:
    lines = host.ssh("nvidia-smi -L").stdout.splitlines()
    return [line.split()[1] for line in lines if line.startswith("  MIG ")]


@pytest.mark.matrix
def test_mig_layouts_are_made_brought_back_at_boot_and_removed(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("mig", "trixie", card="a100"))
    program = (Path(__file__).parent / "mig_smi.sh").read_bytes()
    host.put("/usr/local/sbin/nvidia-smi", program, mode=0o755)
    wanted = {"nvidia_mig": {"all": {"3g.20gb": 1, "1g.5gb": 2}}}
    run = provision(host, **wanted)
    assert "MIG layout of the cards" in run.changed, run.stderr
    assert devices(host) == ["3g.20gb", "1g.5gb", "1g.5gb"]
    assert "nvidia.mig" not in problems(check(host, **wanted))
    assert provision(host, **wanted).changed == {}

    host.reboot()
    assert devices(host) == ["3g.20gb", "1g.5gb", "1g.5gb"]
    assert "nvidia.mig" not in problems(check(host, **wanted))

    host.ssh("nvidia-smi mig -dci && nvidia-smi mig -dgi")
    assert problems(check(host, **wanted))["nvidia.mig"] == "fail"
    host.ssh("touch /run/mig-used")
    provision(host, **wanted)
    assert devices(host) == []
    host.ssh("rm /run/mig-used")
    provision(host, **wanted)
    assert devices(host) == ["3g.20gb", "1g.5gb", "1g.5gb"]

    run = provision(host)
    assert "MIG layout of the cards" in run.changed, run.stderr
    assert devices(host) == []
    assert not host.ssh("ls /usr/local/lib/gpuhost 2>/dev/null", check=False).stdout.strip()
    assert "nvidia.mig" not in problems(check(host))
