"""CDI specifications, read by the grep that the collector runs."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.toolkit.cdi import REFRESHED, STATIC, rivals, specifications
from gpuhost.snapshot.toolkit import REQUEST

SAMPLE = Path(__file__).parents[1] / "fixtures" / "toolkit" / "cdi.yaml"


def _grep(path: Path) -> str:
    """Run the reader's own probe on a file in place of the real one."""
    (command,) = (probe.command for probe in REQUEST.probes if probe.name == "cdi")
    words = shlex.split(command)
    files = [word for word in words if word.startswith("/")]
    assert files == [
        "/etc/cdi/*.yaml",
        "/etc/cdi/*.json",
        "/var/run/cdi/*.yaml",
        "/var/run/cdi/*.json",
    ]
    command_only = words[: -len(files)]
    done = subprocess.run([*command_only, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.replace(f"{path}:", f"{REFRESHED}:")


def test_driver_and_devices_of_a_specification() -> None:
    specs = specifications(_grep(SAMPLE))
    assert list(specs) == [REFRESHED]
    assert specs[REFRESHED].drivers == {"535.183.01"}
    assert specs[REFRESHED].devices == {
        "0",
        "1:0",
        "MIG-c7384736-a75d-5afc-978f-d2f1294409fd",
        "GPU-b7b23dc6-5fc9-42f4-925c-f99621e9ad17",
        "all",
    }
    assert specs[REFRESHED].mig_instances == 1


def test_a_specification_as_json(tmp_path: Path) -> None:
    path = tmp_path / "nvidia.yaml"
    path.write_text('{\n "devices": [\n  {\n   "name": "0",\n   "x": 1\n  }\n ]\n}\n')
    assert specifications(_grep(path))[REFRESHED].devices == {"0"}


def test_two_files_are_kept_apart() -> None:
    specs = specifications(f"{REFRESHED}:libcuda.so.580.65.06\n{STATIC}:libcuda.so.470.57.02\n")
    assert {path: set(spec.drivers) for path, spec in specs.items()} == {
        REFRESHED: {"580.65.06"},
        STATIC: {"470.57.02"},
    }


def test_files_of_other_kinds_are_left_out() -> None:
    other = "/var/run/cdi/management.nvidia.com-gpu.yaml"
    text = f"{other}:kind: management.nvidia.com/gpu\n{other}:- name: all\n"
    assert specifications(text) == {}
    for line in ("kind: nvidia.com/gpu", ' "kind": "nvidia.com/gpu",'):
        assert set(specifications(f"/etc/cdi/site.json:{line}\n")) == {"/etc/cdi/site.json"}


RIVALS = {
    ("/etc/cdi/nvidia.yaml", "/etc/cdi/nvidia.json"): True,
    ("/var/run/cdi/nvidia.yaml", "/var/run/cdi/nvidia-container-toolkit.json"): True,
    ("/var/run/cdi/nvidia.yaml", "/etc/cdi/nvidia.json"): False,
}


@pytest.mark.parametrize("paths", RIVALS)
def test_two_files_with_the_same_devices(paths: tuple[str, str]) -> None:
    text = "".join(f'{path}:kind: nvidia.com/gpu\n{path}:- name: "0"\n' for path in paths)
    found = rivals(specifications(text).values(), paths[0])
    assert [one.path for one in found] == ([paths[1]] if RIVALS[paths] else [])
    others = specifications(text.replace(f'{paths[1]}:- name: "0"', f'{paths[1]}:- name: "1"'))
    assert rivals(others.values(), paths[0]) == ()


@given(st.text() | st.text().map(lambda text: f"{REFRESHED}:{text}"))
def test_any_text_is_read(text: str) -> None:
    assert set(specifications(text)) <= {REFRESHED, STATIC}
