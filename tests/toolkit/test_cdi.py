"""CDI specifications, read by the grep that the collector runs."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.toolkit.cdi import REFRESHED, STATIC, specifications
from gpuhost.snapshot.toolkit import REQUEST

SAMPLE = Path(__file__).parents[1] / "fixtures" / "toolkit" / "cdi.yaml"


def _grep(path: Path) -> str:
    """Run the reader's own probe on a file in place of the real one."""
    (command,) = (probe.command for probe in REQUEST.probes if probe.name == "cdi")
    words = shlex.split(command)
    assert words[-2:] == [REFRESHED, STATIC]
    done = subprocess.run([*words[:-2], str(path)], capture_output=True, text=True, check=True)
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


@given(st.text() | st.text().map(lambda text: f"{REFRESHED}:{text}"))
def test_any_text_is_read(text: str) -> None:
    assert set(specifications(text)) <= {REFRESHED, STATIC}
