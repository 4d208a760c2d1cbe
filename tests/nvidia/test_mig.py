"""MIG: what nvidia-smi lists, and the program that makes a layout, with a stand-in of it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gpuhost.domain.nvidia.mig import MigDevice, as_text, in_order, parse_devices
from gpuhost.settings import Settings

PROGRAM = files("gpuhost.plans").joinpath("nvidia_mig.sh").read_text(encoding="utf-8")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
A, B = "GPU-aaaaaaaa-0000-0000-0000-000000000001", "GPU-bbbbbbbb-0000-0000-0000-000000000002"


class Host:
    """A directory with a stand-in of nvidia-smi and its cards."""

    def __init__(self, home: Path, cards: list[dict[str, Any]], conf: str = "") -> None:
        self.home, self.state = home, home / "state.json"
        self.state.write_text(json.dumps({"cards": cards}))
        program = home / "nvidia-smi"
        program.write_text(
            f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("mig_smi.py")} "$@"\n'
        )
        for name in ("systemctl", "nvidia-ctk"):
            # The toolkit's unit is there, and what is asked of it is recorded.
            (home / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{home}/asked\n')
        for file in ("nvidia-smi", "systemctl", "nvidia-ctk"):
            (home / file).chmod(0o755)
        (home / "conf").write_text(conf)
        assert PROGRAM.count(PATH[:-1]) == 1
        text = PROGRAM.replace(PATH[:-1], f"PATH={home}:/usr/bin:/bin")
        self.program = text.replace("/usr/local/lib/gpuhost/nvidia-mig.conf", str(home / "conf"))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", self.program, "sh", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"MIG_STATE": str(self.state)},
        )

    @property
    def cards(self) -> list[dict[str, Any]]:
        cards: list[dict[str, Any]] = json.loads(self.state.read_text())["cards"]
        return cards

    @property
    def changes(self) -> list[str]:
        log = self.state.with_suffix(".log")
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if not line.startswith("-L") and "--query" not in line]

    @property
    def asked(self) -> str:
        file = self.home / "asked"
        return file.read_text() if file.exists() else ""


def _card(uuid: str, mode: str = "Disabled", *devices: str, **more: Any) -> dict[str, Any]:
    return {"uuid": uuid, "mode": mode, "devices": list(devices), **more}


def test_a_layout_is_made_once(tmp_path: Path) -> None:
    host = Host(tmp_path, [_card(A), _card(B, "Enabled", "1g.5gb")])
    done = host.run("apply", f"{A}=3g.20gb,2g.10gb,2g.10gb")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.cards[0]["mode"] == "Enabled"
    assert host.cards[0]["devices"] == ["3g.20gb", "2g.10gb", "2g.10gb"]
    assert host.cards[1]["devices"] == ["1g.5gb"]
    assert "systemctl restart --no-block nvidia-cdi-refresh.service" in host.asked
    before = host.changes
    assert host.run("apply", f"{A}=3g.20gb,2g.10gb,2g.10gb").returncode == 0
    assert host.changes == before


def test_after_a_boot_it_is_brought_back(tmp_path: Path) -> None:
    # Ampere keeps the mode, Hopper does not; neither keeps instances.
    conf = f"{A}=3g.20gb,3g.20gb\n{B}=1g.5gb\n"
    host = Host(tmp_path, [_card(A, "Enabled"), _card(B, "Disabled")], conf)
    assert host.run("boot").returncode == 0
    assert [card["devices"] for card in host.cards] == [["3g.20gb", "3g.20gb"], ["1g.5gb"]]


def test_another_layout_replaces_the_instances(tmp_path: Path) -> None:
    host = Host(tmp_path, [_card(A, "Enabled", "1g.5gb", "1g.5gb")])
    assert host.run("apply", f"{A}=7g.40gb").returncode == 0
    assert host.cards[0]["devices"] == ["7g.40gb"]
    assert [line.split()[1] for line in host.changes] == ["-dci", "-dgi", "-i"]


def test_mig_is_switched_off(tmp_path: Path) -> None:
    host = Host(tmp_path, [_card(A, "Enabled", "1g.5gb")])
    assert host.run("apply", f"{A}=").returncode == 0
    assert host.cards[0] == _card(A, "Disabled")


def test_a_card_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    host = Host(tmp_path, [_card(A, "Enabled", "1g.5gb", pids=[4711, 4712]), _card(B)])
    done = host.run("apply", f"{A}=7g.40gb", f"{B}=7g.40gb")
    assert done.returncode == 3
    assert done.stderr == f"{A}: in use by processes 4711 4712\n"
    assert [card["devices"] for card in host.cards] == [["1g.5gb"], ["7g.40gb"]]


def test_an_instance_that_cannot_be_destroyed(tmp_path: Path) -> None:
    host = Host(tmp_path, [_card(A, "Enabled", "1g.5gb", refuses=True)])
    done = host.run("apply", f"{A}=7g.40gb")
    assert done.returncode == 3
    assert "In use by another client" in done.stderr
    assert host.cards[0]["devices"] == ["1g.5gb"]


def test_a_mode_that_needs_a_reboot(tmp_path: Path) -> None:
    host = Host(tmp_path, [_card(A, resets=False)])
    done = host.run("apply", f"{A}=7g.40gb")
    assert done.returncode == 4
    assert "MIG mode Enabled is pending, reboot" in done.stderr
    assert host.cards[0]["devices"] == []


def test_a_layout_that_does_not_fit_leaves_no_part(tmp_path: Path) -> None:
    host = Host(tmp_path, [_card(A)])
    done = host.run("apply", f"{A}=4g.20gb,4g.20gb")
    assert done.returncode == 5
    assert "Insufficient Resources" in done.stderr
    assert host.cards[0]["devices"] == []


def test_a_card_without_mig(tmp_path: Path) -> None:
    host = Host(tmp_path, [_card(A, "[N/A]")])
    done = host.run("apply", f"{A}=7g.40gb")
    assert (done.returncode, host.changes) == (5, [])


LISTED = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaaaaaa-0000-0000-0000-000000000001)
  MIG 3g.40gb     Device  0: (UUID: MIG-aaaaaaaa-0000-0000-0000-000000000001)
  MIG 1g.10gb+me  Device  1: (UUID: MIG-aaaaaaaa-0000-0000-0000-000000000002)
GPU 1: A100-SXM4-40GB (UUID: GPU-bbbbbbbb-0000-0000-0000-000000000002)
  MIG 1c.3g.20gb  Device  0: (UUID: MIG-GPU-bbbbbbbb-0000-0000-0000-000000000002/1/0)
"""


def test_devices_of_every_card() -> None:
    assert parse_devices(LISTED) == (
        MigDevice(0, "3g.40gb", "MIG-aaaaaaaa-0000-0000-0000-000000000001"),
        MigDevice(0, "1g.10gb+me", "MIG-aaaaaaaa-0000-0000-0000-000000000002"),
        MigDevice(1, "1c.3g.20gb", "MIG-GPU-bbbbbbbb-0000-0000-0000-000000000002/1/0"),
    )
    assert [device.memory_gb for device in parse_devices(LISTED)] == [40, 10, 20]


def test_the_largest_profile_comes_first() -> None:
    # NVIDIA: "3g.20gb must be specified first", or the driver finds no place for it.
    assert in_order({"1g.5gb": 2, "3g.20gb": 1, "2g.10gb": 1}) == (
        *("3g.20gb", "2g.10gb"),
        *("1g.5gb", "1g.5gb"),
    )
    assert as_text(["1g.5gb", "3g.20gb"]) == "3g.20gb,1g.5gb"


@pytest.mark.parametrize(
    "mig",
    [
        {"first": {"1g.5gb": 1}},
        {"0": {"1g": 1}},
        {"0": {"1g.5gb": 0}},
        {"0": {"1g.5gb": 8}},
        {"0": {"1g.5gb,1g.5gb": 1}},
        {"0": {"1g.5gb; reboot": 1}},
        {"0": ["1g.5gb"]},
    ],
)
def test_refused_settings(mig: Any) -> None:
    with pytest.raises(ValidationError):
        Settings(nvidia_mig=mig)


def test_profiles_as_nvidia_smi_lists_them() -> None:
    layouts = {"all": {"1g.5gb+me": 1, "1g.24gb-me": 1, "2g.48gb+gfx": 1}, "1": {}}
    assert Settings(nvidia_mig=layouts).nvidia_mig == layouts
